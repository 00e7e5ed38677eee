import { Logger, type DynamicModule, type INestApplicationContext } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { settlesWithin } from '../common/deadline.js';
import { isPgPubSubError, messageOf } from '../common/errors.js';
import { LISTENER_SELECTION } from '../common/tokens.js';
import { ListenerSelection, type ListenerCandidate } from '../instance/listener-selection.js';
import { renderTotals, type BacklogWatcher } from './backlog.report.js';
import { BacklogWork } from './backlog.work.js';
import { CommandFailure, EXIT, type ExitCode } from './command-failure.js';
import type { ListenLogger } from './listen.logger.js';
import { chooseListeners, noListener } from './listener-choice.js';
import { PRELOAD_HINT, loadModule, type NestModule } from './module.loader.js';
import type { PreloadOptions } from './preload.js';

/** The settings of one process. */
export interface ListenSettings {
  /** The argument of the command: a file, with or without the name of an export. */
  readonly module: string;
  /** The files read and imported before the application; worker processes get the same. */
  readonly preload: Required<PreloadOptions>;
  readonly channels: readonly string[] | undefined;
  /** `recover`: report the backlog, and keep listening. `drain`: handle the backlog, then end. */
  readonly backlog: 'recover' | 'drain' | undefined;
}

/** The environment of a process: a terminal, or a supervisor. */
export interface ListenHost {
  readonly logger: ListenLogger;
  readonly watcher: BacklogWatcher;
  /** Aborted when the process has to finish running handlers and end. */
  readonly ending: AbortSignal;
  /** Called when the listeners run. */
  ready(): void;
}

/** The time for destroying modules, in addition to the time for running handlers. */
const CLOSE_GRACE_MS = 5_000;

/** The time until a log line names causes; TypeOrmModule tries to connect for 30 s by default. */
const SLOW_START_MS = 5_000;

const notStartedYet = (module: string): string =>
  `${module} has not started within ${SLOW_START_MS / 1_000} s; the log above shows what it waits for. ${PRELOAD_HINT}`;

/** Quotes the first line; Nest's message about a missing dependency has paragraphs. */
const notStarted = (module: string, cause: unknown): CommandFailure =>
  new CommandFailure(
    `could not start ${module}: ${messageOf(cause).trim().split('\n', 1)[0]?.replace(/\.$/, '')}. ` +
      `The log has the stack. ${PRELOAD_HINT}`,
    EXIT.failed,
    { cause },
  );

/** Wraps the application's own module, to choose the listeners that run. */
class ListeningModule {}

/** Runs the listeners of an application in this process, from loading its module to closing it. */
export class ListeningProcess {
  private readonly selection = new ListenerSelection((candidates) => this.select(candidates));
  private readonly backlog: BacklogWork;
  private readonly total = { handled: 0, failed: 0 };
  private shutdownTimeoutMs = 0;

  constructor(
    private readonly settings: ListenSettings,
    private readonly host: ListenHost,
  ) {
    this.backlog = new BacklogWork(host.watcher);
  }

  /** Resolves when the process has to end and the application is closed. */
  async run(): Promise<ExitCode> {
    const isEnding = aborted(this.host.ending);
    const starting = this.start();
    // before listeners run there is nothing to finish, so a starting application is abandoned
    const isLeft = isEnding.then(() => (this.selection.hasBegun ? starting : undefined));
    const app = await Promise.race([starting, isLeft]);
    if (app === undefined) return EXIT.good;
    this.host.ready();
    const { backlog } = this.settings;
    try {
      if (backlog) await Promise.race([this.handleBacklog(), isEnding]);
      if (backlog !== 'drain') await isEnding;
    } finally {
      await this.close(app);
    }
    if (backlog !== 'drain') this.host.logger.say('log', renderTotals(this.total));
    return backlog === 'drain' && this.total.failed > 0 ? EXIT.failed : EXIT.good;
  }

  private async start(): Promise<INestApplicationContext> {
    const { module } = this.settings;
    Logger.overrideLogger(this.host.logger); // files may log while they load
    const app = await this.create(await loadModule(module));
    if (!this.selection.hasBegun) throw noListener(module);
    return app;
  }

  /** Nest logs errors of providers; errors of hooks and others are logged here. */
  private async create(root: NestModule): Promise<INestApplicationContext> {
    const { settings, host } = this;
    const slow = setTimeout(() => host.logger.say('warn', notStartedYet(settings.module)), SLOW_START_MS);
    try {
      return await NestFactory.createApplicationContext(this.wrap(root), {
        logger: host.logger,
        abortOnError: false,
      });
    } catch (error) {
      if (error instanceof CommandFailure) throw error;
      if (isPgPubSubError(error)) throw new CommandFailure(error.message, EXIT.failed, { cause: error });
      host.logger.reportOnce(error);
      throw notStarted(settings.module, error);
    } finally {
      clearTimeout(slow);
    }
  }

  private wrap(root: NestModule): DynamicModule {
    return {
      module: ListeningModule,
      global: true,
      imports: [root],
      providers: [{ provide: LISTENER_SELECTION, useValue: this.selection }],
      exports: [LISTENER_SELECTION],
    };
  }

  private async select(candidates: readonly ListenerCandidate[]): Promise<readonly ListenerCandidate[]> {
    const { channels, backlog, module } = this.settings;
    const chosen = chooseListeners(candidates, channels, module);
    this.shutdownTimeoutMs = Math.max(...chosen.map(({ instance }) => instance.options.shutdownTimeoutMs));
    // a draining process ends soon, so it takes no broadcasts
    const running =
      backlog === 'drain'
        ? chosen.filter(({ listener }) => listener.channel.delivery === 'exactly-once')
        : chosen;
    if (backlog) await this.backlog.begin(running);
    for (const { events } of new Set(running.map(({ instance }) => instance)))
      events.subscribe((event) => event.type === 'claimed' && this.count(event));
    return running;
  }

  private count({ handled, failed }: { readonly handled: number; readonly failed: number }): void {
    this.total.handled += handled;
    this.total.failed += failed;
  }

  private async handleBacklog(): Promise<void> {
    const { ending, logger, watcher } = this.host;
    try {
      if (!(await this.backlog.run(ending))) return;
      if (this.settings.backlog === 'drain') this.backlog.flushLog(); // before the totals
      if (this.settings.backlog === 'drain') await this.backlog.assertNoneLeft();
      watcher.done();
    } catch (error) {
      if (this.settings.backlog === 'drain') throw error;
      logger.say('warn', messageOf(error)); // claims are retried while listening
    }
  }

  private async close(app: INestApplicationContext): Promise<void> {
    const limitMs = this.shutdownTimeoutMs + CLOSE_GRACE_MS;
    if (await settlesWithin(app.close(), limitMs)) return;
    throw new CommandFailure(
      `the application did not close within ${limitMs} ms: a shutdown hook of a module hangs.`,
      EXIT.failed,
    );
  }
}

const aborted = (signal: AbortSignal): Promise<void> =>
  new Promise((resolve) => {
    if (signal.aborted) resolve();
    else signal.addEventListener('abort', () => resolve(), { once: true });
  });
