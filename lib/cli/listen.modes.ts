import { fork } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { BacklogReport, type BacklogWatcher } from './backlog.report.js';
import { CommandFailure, EXIT, type ExitCode } from './command-failure.js';
import { ListenLogger, type ListenLoggerOptions } from './listen.logger.js';
import { ListeningProcess, type ListenSettings } from './listening.process.js';
import { FINISH, SupervisedProcess, type ProcessReport } from './supervised.process.js';
import { Supervisor } from './supervisor.js';
import { handleStopSignals } from './stop-signals.js';

interface Reporting {
  readonly logger: ListenLogger;
  readonly report: BacklogReport;
}

const PROGRAM = fileURLToPath(new URL('main.js', import.meta.url));

/** Runs the listeners in this process. */
export async function runAlone(settings: ListenSettings, log: ListenLoggerOptions): Promise<ExitCode> {
  const { logger, report } = createReport(log, 1);
  const ending = new AbortController();
  let isUnread = false;
  handleStopSignals({
    finish: (signal) => {
      logger.say('log', `Received ${signal}; finishing running handlers`);
      ending.abort();
    },
    endAtOnce: () => process.exit(EXIT.failed),
    finishUnread: () => {
      isUnread = true;
      ending.abort();
    },
  });
  const host = { logger, watcher: report, ending: ending.signal, ready: () => undefined };
  const work = async () => {
    const code = await new ListeningProcess(settings, host).run();
    return isUnread ? EXIT.failed : code;
  };
  return untilTheEnd(work, { logger, report, format: log.format });
}

/** Runs the listeners in worker processes, which this process supervises. */
export async function runSupervisor(
  settings: ListenSettings,
  log: ListenLoggerOptions,
  { processes, restartOnFailure }: { readonly processes: number; readonly restartOnFailure: boolean },
): Promise<ExitCode> {
  const { logger, report } = createReport(log, processes);
  const supervisor = new Supervisor({
    processes,
    backlog: settings.backlog,
    restartOnFailure,
    spawn: (backlog) => spawnProcess({ ...settings, backlog }, log, report),
    log: (level, line) => logger.say(level, line),
  });
  let isUnread = false;
  handleStopSignals({
    finish: (signal) => {
      logger.say('log', `Received ${signal}; the processes finish running handlers`);
      supervisor.finish();
    },
    endAtOnce: () => {
      supervisor.kill();
      process.exit(EXIT.failed);
    },
    finishUnread: () => {
      isUnread = true;
      supervisor.finish();
    },
  });
  const work = async () => {
    await supervisor.run();
    const isDrainBad = settings.backlog === 'drain' && report.hasFailures;
    return supervisor.hasFailed || isDrainBad || isUnread ? EXIT.failed : EXIT.good;
  };
  return untilTheEnd(work, { logger, report, format: log.format });
}

/** Runs a worker process. Signals to its group only let it finish; the supervisor kills it. */
export async function runSupervised(settings: ListenSettings, log: ListenLoggerOptions): Promise<ExitCode> {
  const ending = new AbortController();
  const finish = () => ending.abort();
  handleStopSignals({ finish, endAtOnce: finish, finishUnread: finish });
  process.on('message', (message) => message === FINISH && finish());
  process.on('disconnect', finish); // the supervisor has ended
  const host = {
    logger: new ListenLogger(log),
    watcher: remoteWatcher,
    ending: ending.signal,
    ready: () => void sendReport({ type: 'ready' }),
  };
  try {
    return await new ListeningProcess(settings, host).run();
  } catch (error) {
    if (!(error instanceof CommandFailure)) throw error;
    await sendReport({ type: 'failed', message: error.message, exitCode: error.exitCode });
    return error.exitCode;
  }
}

/** Logs the failure of the command as JSON if the log is JSON. */
async function untilTheEnd(
  work: () => Promise<ExitCode>,
  { logger, report, format }: Reporting & Pick<ListenLoggerOptions, 'format'>,
): Promise<ExitCode> {
  try {
    return await work();
  } catch (error) {
    if (format !== 'json' || !(error instanceof CommandFailure)) throw error;
    logger.say('fatal', error.message);
    return error.exitCode;
  } finally {
    report.end();
  }
}

const remoteWatcher: BacklogWatcher = {
  found: (count) => void sendReport({ type: 'backlog-found', count }),
  advanced: (handled, failed) => void sendReport({ type: 'backlog-advanced', handled, failed }),
  done: () => void sendReport({ type: 'backlog-done' }),
};

/** Resolves when the report is sent, and at once without a supervisor. */
const sendReport = (report: ProcessReport): Promise<void> =>
  new Promise((resolve) => {
    if (process.send && process.connected) process.send(report, undefined, undefined, () => resolve());
    else resolve();
  });

function spawnProcess(
  settings: ListenSettings,
  log: ListenLoggerOptions,
  watcher: BacklogWatcher,
): SupervisedProcess {
  const child = fork(PROGRAM, argumentsOf(settings, log), { stdio: ['ignore', 'inherit', 'inherit', 'ipc'] });
  return new SupervisedProcess(child, watcher);
}

const argumentsOf = (
  { module, preload, channels, backlog }: ListenSettings,
  { level, format }: ListenLoggerOptions,
): string[] => [
  'listen',
  '--supervised',
  ...(level ? ['--log-level', level] : []),
  '--log-format',
  format,
  ...preload.envFile.flatMap((file) => ['--env-file', file]),
  ...preload.import.flatMap((file) => ['--import', file]),
  ...(backlog ? [`--${backlog}`] : []),
  ...(channels ? ['--channels', ...channels] : []),
  '--',
  module,
];

/** Creates log and report together, because they share a terminal. */
function createReport(log: ListenLoggerOptions, processes: number): Reporting {
  const report: BacklogReport = new BacklogReport({
    processes,
    writeLine: (line) => logger.say('log', line),
    terminal: log.format === 'text' ? process.stderr : undefined,
  });
  const logger: ListenLogger = new ListenLogger(log, () => report.clearLine());
  return { report, logger };
}
