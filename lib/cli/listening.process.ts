import { Logger, type DynamicModule, type INestApplicationContext } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { settlesWithin } from '../common/deadline.js';
import { messageOf } from '../common/errors.js';
import { LISTENER_SELECTION } from '../common/tokens.js';
import { ListenerSelection, type ListenerCandidate } from '../instance/listener-selection.js';
import { renderTotals, type BacklogWatcher } from './backlog.report.js';
import { BacklogWork } from './backlog.work.js';
import { CommandFailure, EXIT, type ExitCode } from './command-failure.js';
import type { ListenLogger } from './listen.logger.js';
import { chooseListeners, noListener } from './listener-choice.js';
import { loadModule, type NestModule } from './module.loader.js';
import { explainStart } from './start-failure.js';

/** What one process is to do. */
export interface ListenSettings {
  /** As it was given: a file, and perhaps the name of an export. */
  readonly module: string;
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

/** Modules that hang when they are destroyed have so long beyond the time that running handlers have. */
const CLOSE_GRACE_MS = 5_000;

/** Wraps the application's own module, to have a say in which listeners run. */
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
    this.host.logger.started();
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
    const { logger } = this.host;
    try {
      Logger.overrideLogger(logger); // files may log while they are loaded
      const root = await loadModule(module);
      const app = await NestFactory.createApplicationContext(this.wrap(root), {
        logger,
        abortOnError: false,
      });
      if (!this.selection.hasBegun) throw noListener(module);
      return app;
    } catch (error) {
      throw explainStart(module, error);
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
