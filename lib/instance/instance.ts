import { setMaxListeners } from 'node:events';
import { setImmediate as turn, setTimeout as delay } from 'node:timers/promises';
import { Subject } from 'rxjs';
import type { DataSource } from 'typeorm';
import { ChannelRegistry, type ChannelLike } from '../channels/channel.registry.js';
import type { DrainCount } from '../claims/drain-count.js';
import type { Workers } from '../claims/workers.js';
import { warnOf } from '../common/errors.js';
import type { PubSubEvent, ReportEvent } from '../common/events.js';
import type { ResolvedOptions } from '../common/options.js';
import { assertUsable } from '../connection/listen-config.js';
import type { InstanceConnection } from '../connection/instance-connection.js';
import { PoolWatch } from '../connection/pool-watch.js';
import type { BroadcastListeners } from '../dispatch/broadcast-listeners.js';
import type { Dispatcher } from '../dispatch/dispatcher.js';
import type { ListenerDefinition } from '../listeners/listener.definition.js';
import type { Discovered } from '../listeners/listener.explorer.js';
import { ClaimHealth } from '../observability/claim-health.js';
import { PubSubLogger, type LineLogger } from '../observability/pubsub.logger.js';
import type { StatusReader } from '../observability/pubsub.status.js';
import type { PubSubTelemetry } from '../observability/pubsub.telemetry.js';
import { guardPools } from '../postgres/pool-guard.js';
import type { NotifyOptions } from '../publishing/notify-options.js';
import type { Publisher } from '../publishing/publisher.js';
import { TransactionSettings } from '../publishing/transaction-settings.js';
import type { StoredNotifications } from '../store/stored-notifications.js';
import { Database } from '../triggers/database.js';
import type { ChannelPauses } from './channel-pauses.js';
import { GapHandlers } from './gap-handlers.js';
import { Hints } from './hints.js';
import type { ProcessHeartbeat } from './process-heartbeat.js';
import { assertStorage, assertTriggers } from './schema-readiness.js';
import { postgresTransport, type TransportConnection, type Transport } from './transport.js';
import {
  createConnection,
  createDispatcher,
  createHeartbeat,
  createListeners,
  createInstanceConnection,
  createPauses,
  createPublisher,
  createStatus,
  createStored,
  createTelemetry,
  createWorkers,
} from './wiring.js';

/**
 * One instance of the library in an application: builds its parts, starts and stops them in order,
 * and implements what the service offers. Owned by the module; idle until `start()`, ends with
 * `stop()`.
 */
export class Instance {
  /** The events of this instance; completes with `stop()`. */
  readonly events = new Subject<PubSubEvent>();
  readonly registry = new ChannelRegistry();
  readonly telemetry: PubSubTelemetry;
  readonly connection: TransportConnection;
  readonly workers: Workers;
  readonly settings: TransactionSettings;
  readonly pauses: ChannelPauses;
  readonly stored: StoredNotifications;
  readonly status: StatusReader;
  private readonly logger: PubSubLogger;
  readonly claimHealth = new ClaimHealth();
  private readonly poolWatch = new PoolWatch(() => this.connection.reopenNow());
  readonly hints = new Hints({
    connection: () => this.connection,
    workers: () => this.workers,
    settingsChanged: () => void this.pauses.read(),
  });
  readonly dispatcher: Dispatcher;
  readonly listeners: BroadcastListeners;
  private readonly gapHandlers: GapHandlers;
  private readonly publisher: Publisher;
  private readonly instanceConnection: InstanceConnection;
  private readonly heartbeat: ProcessHeartbeat;
  private readonly shutdown = new AbortController();
  private readonly stopping = new AbortController();
  private entities: Promise<void> | undefined;
  private discovering: Promise<Discovered> | undefined;
  private explore: () => Promise<Discovered> = () => Promise.resolve({ listeners: [], gapHandlers: [] });

  constructor(
    readonly options: ResolvedOptions,
    readonly dataSource: DataSource,
    lines: LineLogger,
    private readonly transport: Transport = postgresTransport,
  ) {
    setMaxListeners(0, this.shutdown.signal); // each running handler adds a listener
    if (transport.hasDatabase && dataSource.options.type === 'postgres') guardPools(dataSource);
    this.database.use({ schema: options.schema, role: options.role });
    this.logger = new PubSubLogger(lines);
    this.telemetry = createTelemetry(this);
    this.connection = createConnection(this, transport);
    this.dispatcher = createDispatcher(this);
    this.listeners = createListeners(this);
    this.gapHandlers = new GapHandlers(this.connection.gaps$, this.report);
    this.settings = new TransactionSettings(dataSource, options.context, () => this.telemetry.traceContext());
    this.publisher = createPublisher(this, transport);
    this.workers = createWorkers(this);
    this.instanceConnection = createInstanceConnection(this);
    this.pauses = createPauses(this, this.instanceConnection, this.stopping.signal);
    this.heartbeat = createHeartbeat(this, this.instanceConnection);
    this.stored = createStored(this);
    this.status = createStatus(this);
  }

  get name(): string {
    return this.options.name;
  }

  /** Aborted when running handlers have used up their time to finish. */
  get signal(): AbortSignal {
    return this.shutdown.signal;
  }

  get database(): Database {
    return Database.of(this.dataSource);
  }

  readonly report: ReportEvent = (event) => {
    try {
      this.telemetry.record(event);
      this.claimHealth.record(event);
      this.poolWatch.record(event);
      this.logger.write(event);
    } catch (error) {
      warnOf(error); // recording must not stop the work
    }
    this.events.next(event); // RxJS rethrows the errors of subscribers outside of this call
  };

  /**
   * Registers the channels that need no listener, so that `notify('name')` finds their definitions
   * in the application's own hooks. `explore` finds the listeners later.
   */
  async initialize(channels: readonly ChannelLike[], explore: () => Promise<Discovered>): Promise<void> {
    this.explore = explore;
    this.telemetry.start(); // providers exist now: one of them may have registered an SDK
    if (!this.transport.hasDatabase || this.dataSource.isInitialized) await this.prepareEntities();
    for (const channel of channels) this.telemetry.name(this.registry.resolve(channel).name);
  }

  /** Returns the application's listeners, found once, after the schema check for entities. */
  discovered(): Promise<Discovered> {
    this.discovering ??= this.discover();
    return this.discovering;
  }

  /** Attaches the listeners and opens the LISTEN connection. Rejects with `CONNECT_FAILED`. */
  async start(listeners: readonly ListenerDefinition[]): Promise<void> {
    const { gapHandlers } = await this.discovered();
    for (const listener of listeners) this.attach(listener);
    for (const handler of gapHandlers) this.gapHandlers.attach(handler);
    this.hints.listen();
    // no deadline: the LISTEN connection limits itself
    if (this.options.listen === true || listeners.length > 0) await this.connection.start();
    else this.connection.startWhenWanted(); // a process that only publishes needs no connection until it observes
    if (this.transport.hasDatabase) this.workers.start();
    this.hints.follow();
  }

  /** Starts claiming, except on channels paused everywhere. Called when the application is up. */
  async claim(): Promise<void> {
    if (this.isStopped || this.workers.isEmpty || !this.transport.hasDatabase) return;
    await this.pauses.known(); // before the heartbeat, which may wait for a lock on the same connection
    if (this.isStopped) return;
    this.heartbeat.start();
    this.workers.claim();
  }

  get isStopped(): boolean {
    return this.stopping.signal.aborted;
  }

  /** Stops the parts in order. Never rejects: Nest 11 would not close the other providers. */
  async stop(): Promise<void> {
    this.stopping.abort();
    await this.closing(async () => {
      this.connection.stopReopening();
      this.hints.stop();
      this.gapHandlers.stop();
      this.dispatcher.close();
      await this.settleHandlers();
    });
    await Promise.all([this.closing(() => this.stopHeartbeat()), this.closing(() => this.connection.stop())]);
    this.logger.close();
    this.events.complete();
  }

  private async stopHeartbeat(): Promise<void> {
    await this.heartbeat.stop();
    await this.instanceConnection.close();
  }

  private async closing(close: () => Promise<void>): Promise<void> {
    try {
      await close();
    } catch (error) {
      this.report({ type: 'close-failed', error });
    }
  }

  /** Resolves when all broadcasts received by now are handled, and what they caused. For tests. */
  async whenIdle(): Promise<void> {
    for (;;) {
      await turn(); // received notifications are on their way to the queues
      const work = [...this.dispatcher.decoding, ...this.listeners.pending, ...this.gapHandlers.pending];
      if (work.length === 0) return;
      await Promise.all(work);
    }
  }

  /** Writes the log lines that are delayed. */
  flushLog(): void {
    this.logger.flush();
  }

  async publish(
    channel: ChannelLike,
    payloads: readonly unknown[],
    options: NotifyOptions = {},
  ): Promise<void> {
    const definition = this.registry.resolve(channel);
    const { name } = definition;
    // An observer that has just subscribed here receives what is sent here next.
    if (this.connection.isListenPending(name)) await this.connection.whenListening(name);
    await this.telemetry.sending(name, payloads.length, (trace) =>
      this.publisher.publish(definition, payloads, options, trace),
    );
  }

  async recover(channels?: readonly ChannelLike[]): Promise<DrainCount> {
    const definitions = this.registry.resolveList(channels);
    if (!this.workers.isEmpty) await this.pauses.known();
    return this.workers.recover(definitions);
  }

  private async discover(): Promise<Discovered> {
    if (this.transport.hasDatabase) assertUsable(this.dataSource);
    await this.prepareEntities();
    const discovered = await this.explore();
    for (const { channel } of discovered.listeners) this.telemetry.name(channel.name); // also those that do not run here
    if (this.transport.hasDatabase) await assertStorage(this.readiness, this.registry.definitions);
    return discovered;
  }

  private get readiness() {
    const { dataSource, report } = this;
    return { ...this.options, dataSource, report };
  }

  /** Registers the channels of entities, once, as early as possible. */
  private prepareEntities(): Promise<void> {
    this.entities ??= this.loadEntities();
    return this.entities;
  }

  private async loadEntities(): Promise<void> {
    if (this.dataSource.options.type !== 'postgres') return;
    if (this.transport.hasDatabase) await assertTriggers(this.readiness);
    const entities = await this.transport.loadEntities(this.dataSource);
    if (entities !== undefined) this.registry.useEntities(entities);
  }

  private attach(listener: ListenerDefinition): void {
    const { channel, name } = listener;
    const { options } = this;
    const invoke = this.telemetry.handling({ channel: channel.name, listener: name }, listener.invoke);
    if (channel.delivery !== 'exactly-once') return this.listeners.attach({ ...listener, invoke });
    const retry = { ...options.retry, ...channel.retry, ...listener.retry };
    const timeoutMs = listener.timeoutMs ?? channel.timeoutMs ?? options.timeoutMs;
    this.workers.attach(channel, {
      ...listener,
      retry,
      timeoutMs,
      invoke: async (delivered) => invoke(delivered),
    });
  }

  /** Lets running handlers finish, up to the timeout; then aborts their signal and leaves them. */
  private async settleHandlers(): Promise<void> {
    const settled = new AbortController();
    const afterMs = this.options.shutdownTimeoutMs;
    void delay(afterMs, undefined, { signal: settled.signal }).then(
      () => this.shutdown.abort(),
      () => undefined,
    );
    const { signal } = this.shutdown;
    const [claims] = await Promise.all([this.workers.stop(signal), this.listeners.close(signal)]);
    settled.abort();
    await turn(); // handlers that end on their signal have ended then
    const listeners = [...this.listeners.running.map(({ listener }) => listener), ...claims];
    if (listeners.length > 0) this.report({ type: 'abandoned', listeners, afterMs });
  }
}
