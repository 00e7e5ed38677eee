import { ConsoleLogger, type LogLevel, type LoggerService } from '@nestjs/common';

/** Nest's, from the one that says most to the one that says least. */
export const LOG_LEVELS = ['verbose', 'debug', 'log', 'warn', 'error', 'fatal'] as const satisfies LogLevel[];
export const LOG_FORMATS = ['text', 'json'] as const;

export interface ListenLoggerOptions {
  /** The least that is logged; without it, what Nest logs. */
  readonly level: (typeof LOG_LEVELS)[number] | undefined;
  readonly format: (typeof LOG_FORMATS)[number];
}

type Level = (typeof LOG_LEVELS)[number];

const OWN_CONTEXT = 'pgpubsub';
/** Who logs with its stack what the start is ended with: the command says it. */
const ENDING_CONTEXT = 'ExceptionHandler';
/** Who logs with its stack what it tries again. */
const RETRYING_CONTEXT = 'TypeOrmModule';

/**
 * The logger of a listening application, and of those who run it: Nest's own, in the form that was asked for. While the
 * application starts, what keeps it from starting is not logged with its stack: it is retried, or told by the command.
 */
export class ListenLogger implements LoggerService {
  private readonly console: ConsoleLogger;
  private isStarting = true;

  /** `beforeLine` is called before each line. */
  constructor(
    { level, format }: ListenLoggerOptions,
    private readonly beforeLine: () => void = () => undefined,
  ) {
    this.console = new ConsoleLogger({
      json: format === 'json',
      ...(level && { logLevels: LOG_LEVELS.slice(LOG_LEVELS.indexOf(level)) }),
      ...((format === 'json' || !process.stdout.isTTY) && { colors: false }),
    });
  }

  /** A line of the command's own. */
  say(level: 'log' | 'warn' | 'fatal', message: string): void {
    this.write(level, message, [OWN_CONTEXT]);
  }

  /** The application has started. */
  started(): void {
    this.isStarting = false;
  }

  verbose(message: unknown, ...rest: unknown[]): void {
    this.write('verbose', message, rest);
  }

  debug(message: unknown, ...rest: unknown[]): void {
    this.write('debug', message, rest);
  }

  log(message: unknown, ...rest: unknown[]): void {
    this.write('log', message, rest);
  }

  warn(message: unknown, ...rest: unknown[]): void {
    this.write('warn', message, rest);
  }

  error(message: unknown, ...rest: unknown[]): void {
    const context = rest.at(-1);
    if (this.isStarting && context === ENDING_CONTEXT) return;
    if (this.isStarting && context === RETRYING_CONTEXT)
      return this.write('warn', `${String(message)} ${reasonIn(rest[0])}`, [context]);
    this.write('error', message, rest);
  }

  fatal(message: unknown, ...rest: unknown[]): void {
    this.write('fatal', message, rest);
  }

  private write(level: Level, message: unknown, rest: readonly unknown[]): void {
    this.beforeLine();
    (this.console[level] as (message: unknown, ...rest: unknown[]) => void)(message, ...rest); // as Nest itself calls it
  }
}

/** The first line of a stack. */
const reasonIn = (stack: unknown): string => (typeof stack === 'string' ? `(${stack.split('\n')[0]})` : '');
