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

/** What one process is to do. */
export interface ListenSettings {
  /** As it was given: a file, and perhaps the name of an export. */
  readonly module: string;
  /** The files that were imported and read before this process began; supervised processes get the same. */
  readonly preload: Required<PreloadOptions>;
  readonly channels: readonly string[] | undefined;
  /** `recover`: handle the backlog, say so, and go on. `drain`: handle the backlog, and end. */
  readonly backlog: 'recover' | 'drain' | undefined;
}

/** Who runs the process: a person at a terminal, or a supervisor. */
export interface ListenHost {
  readonly logger: ListenLogger;
  readonly watcher: BacklogWatcher;
  /** Aborted when the process is to finish what runs, and to end. */
  readonly ending: AbortSignal;
  /** Its listeners run. */
  ready(): void;
}

/** The time that modules have to be destroyed, after the time that running handlers have. */
const CLOSE_GRACE_MS = 5_000;

/** The time until a log line names what may be missing; TypeOrmModule tries to connect for 30 s by default. */
const SLOW_START_MS = 5_000;

const notStartedYet = (module: string): string =>
  `${module} has not started within ${SLOW_START_MS / 1_000} s; what it waits for stands above. ${PRELOAD_HINT}`;

/** Shows the first line of the error: Nest's message for a missing dependency has paragraphs, which the log shows. */
const notStarted = (module: string, cause: unknown): CommandFailure =>
  new CommandFailure(
    `expected ${module} to start, got: ${messageOf(cause).trim().split('\n', 1)[0]?.replace(/\.$/, '')}. ` +
      `The log has its stack. ${PRELOAD_HINT}`,
    EXIT.failed,
    { cause },
  );

/** Wraps the application's own module, to choose the listeners that run. */
class ListeningModule {}

/** The listeners of an application in this process, from loading its module to having closed it. */
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

  /** Resolves when it is to end and nothing runs any more. */
  async run(): Promise<ExitCode> {
    const isEnding = aborted(this.host.ending);
    const starting = this.start();
    // Before listeners run there is nothing to finish: an application that waits for its database is left at once.
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
    Logger.overrideLogger(this.host.logger); // files may log while they are loaded
    const app = await this.create(await loadModule(module));
    if (!this.selection.hasBegun) throw noListener(module);
    return app;
  }

  /** Nest logs what keeps a provider from being made; the stack of anything else, as of a hook, is logged here. */
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
    // who only drains is there for a moment: broadcasts are for those who stay
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
      if (this.settings.backlog === 'drain') this.backlog.flushLog(); // the sum comes last
      if (this.settings.backlog === 'drain') await this.backlog.assertNoneLeft();
      watcher.done();
    } catch (error) {
      if (this.settings.backlog === 'drain') throw error;
      logger.say('warn', messageOf(error)); // who goes on listening goes on trying
    }
  }

  private async close(app: INestApplicationContext): Promise<void> {
    const limitMs = this.shutdownTimeoutMs + CLOSE_GRACE_MS;
    if (await settlesWithin(app.close(), limitMs)) return;
    throw new CommandFailure(
      `the application did not close within ${limitMs} ms: a module hangs in its hooks.`,
      EXIT.failed,
    );
  }
}

const aborted = (signal: AbortSignal): Promise<void> =>
  new Promise((resolve) => {
    if (signal.aborted) resolve();
    else signal.addEventListener('abort', () => resolve(), { once: true });
  });
