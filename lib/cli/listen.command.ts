import { InvalidArgumentError, Option, type Command } from 'commander';
import type { ExitCode } from './command-failure.js';
import { runAlone, runSupervised, runSupervisor } from './listen.modes.js';
import { LOG_FORMATS, LOG_LEVELS, type ListenLoggerOptions } from './listen.logger.js';
import { addPreloadOptions, type PreloadOptions } from './preload.js';

interface ListenOptions extends PreloadOptions {
  readonly channels?: string[];
  readonly processes?: number;
  readonly recover?: true;
  readonly drain?: true;
  readonly restartOnFailure: boolean;
  readonly logLevel?: (typeof LOG_LEVELS)[number];
  readonly logFormat: (typeof LOG_FORMATS)[number];
  readonly supervised?: true;
}

/** `pgpubsub listen <module>`: runs the listeners of an application in separate processes. */
export function listenCommand(program: Command, end: (code: ExitCode) => void): void {
  addPreloadOptions(program.command('listen'))
    .description('runs the listeners of a Nest application, without HTTP')
    .argument('<module>', 'file that exports the Nest module; <file>#ExportName if it exports several')
    .option('--channels <names...>', 'only the listeners of these channels (names, or entity classes)')
    .option('--processes <number>', 'number of worker processes; a crashed one is restarted', parseProcesses)
    .addOption(new Option('--worker', 'run in this process (the default)').conflicts('processes'))
    .option('--recover', 'report the progress of the backlog and its size, and keep listening')
    .addOption(
      new Option('--drain', 'handle the backlog, then exit: with 1 if handlers failed').conflicts('recover'),
    )
    .option('--no-restart-on-failure', 'exit with 1 when a worker process crashes')
    .addOption(new Option('--log-level <level>', 'lowest level that is logged').choices(LOG_LEVELS))
    .addOption(
      new Option('--log-format <format>', 'format of log lines').choices(LOG_FORMATS).default('text'),
    )
    .addOption(new Option('--supervised').hideHelp()) // a worker process of --processes
    .action(async (module: string, options: ListenOptions) => end(await listen(module, options)));
}

function listen(module: string, options: ListenOptions): Promise<ExitCode> {
  const { channels, processes, recover, drain, restartOnFailure, logLevel, logFormat, supervised } = options;
  const { envFile = [], import: imports = [] } = options;
  const backlog = drain ? 'drain' : recover ? 'recover' : undefined;
  const settings = { module, preload: { envFile, import: imports }, channels, backlog } as const;
  const log: ListenLoggerOptions = { level: logLevel, format: logFormat };
  if (supervised) return runSupervised(settings, log);
  if (processes === undefined) return runAlone(settings, log);
  return runSupervisor(settings, log, { processes, restartOnFailure });
}

function parseProcesses(given: string): number {
  if (/^[1-9]\d{0,3}$/.test(given)) return Number(given);
  throw new InvalidArgumentError('Expected a whole number from 1 to 9999.');
}
