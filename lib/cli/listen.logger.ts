import { ConsoleLogger, type LogLevel } from '@nestjs/common';

/** Nest's log levels, from the most to the least verbose. */
export const LOG_LEVELS = ['verbose', 'debug', 'log', 'warn', 'error', 'fatal'] as const satisfies LogLevel[];
export const LOG_FORMATS = ['text', 'json'] as const;

export interface ListenLoggerOptions {
  /** The lowest level that is logged; without it, Nest's default. */
  readonly level: (typeof LOG_LEVELS)[number] | undefined;
  readonly format: (typeof LOG_FORMATS)[number];
}

const OWN_CONTEXT = 'pgpubsub';

/** Nest's logger with the options of the command, for the application and the command itself. */
export class ListenLogger extends ConsoleLogger {
  private readonly reported = new WeakSet<object>();

  /** `beforeLine` is called before each line. */
  constructor(
    { level, format }: ListenLoggerOptions,
    private readonly beforeLine: () => void = () => undefined,
  ) {
    super({
      json: format === 'json',
      ...(level && { logLevels: LOG_LEVELS.slice(LOG_LEVELS.indexOf(level)) }),
      ...((format === 'json' || !process.stdout.isTTY) && { colors: false }),
    });
  }

  /** Writes a line of the command's own. */
  say(level: 'log' | 'warn' | 'fatal', message: string): void {
    this[level](message, OWN_CONTEXT);
  }

  /** Logs an error with its stack, unless Nest has logged it before throwing it. */
  reportOnce(error: unknown): void {
    if (error instanceof Error && this.reported.has(error)) return;
    this.error(error, OWN_CONTEXT);
  }

  protected override printMessages(
    messages: unknown[],
    context?: string,
    logLevel?: LogLevel,
    writeStreamType?: 'stdout' | 'stderr',
    errorStack?: unknown,
    params?: Record<string, unknown>,
  ): void {
    for (const message of messages) if (message instanceof Error) this.reported.add(message);
    this.beforeLine();
    super.printMessages(messages, context, logLevel, writeStreamType, errorStack, params);
  }
}
