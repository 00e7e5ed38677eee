import { setMaxListeners } from 'node:events';
import { Subject } from 'rxjs';
import type { DataSource } from 'typeorm';
import { ChannelRegistry } from './channels/channel.registry.js';
import { warnOf } from './common/errors.js';
import type { Fact, Report } from './common/facts.js';
import { HEARTBEAT_DEFAULTS, type ResolvedOptions } from './common/options.js';
import type { Workers } from './claims/workers.js';
import { assertUsable, resolveListenConfig } from './connection/listen-config.js';
import { PoolWatch } from './connection/pool-watch.js';
import { createNotificationFactory } from './dispatch/broadcast-notification.js';
import { Dispatcher } from './dispatch/dispatcher.js';
import type { ListenerQueue } from './dispatch/listener-queue.js';
import { ClaimHealth } from './observability/claim-health.js';
import { StatusReader } from './observability/pubsub.status.js';
import { PubSubLogger, type LineLogger } from './observability/pubsub.logger.js';
import { PubSubTelemetry } from './observability/pubsub.telemetry.js';
import { Publisher } from './publishing/publisher.js';
import { postgresBackend, type Connection } from './pubsub.backend.js';
import type { Preparation } from './pubsub.preparation.js';
import { HINT_CHANNEL } from './storage/storage.sql.js';
import { StoredNotifications } from './store/stored-notifications.js';
import { Database } from './triggers/database.js';
import { TransactionSettings } from './publishing/transaction-settings.js';

/** The parts of one instance, wired. Nothing here runs before `PubSubLifecycle` starts it. */
export interface PubSubParts {
  readonly options: ResolvedOptions;
  readonly dataSource: DataSource;
  readonly registry: ChannelRegistry;
  readonly preparation: Preparation;
  readonly connection: Connection;
  readonly publisher: Pick<Publisher, 'publish'>;
  readonly settings: TransactionSettings;
  readonly dispatcher: Dispatcher;
  /** One for each listener of broadcasts. */
  readonly queues: ListenerQueue[];
  readonly workers: Workers;
  readonly stored: StoredNotifications;
  readonly status: StatusReader;
  readonly logger: PubSubLogger;
  readonly telemetry: PubSubTelemetry;
  readonly report: Report;
  /** What is reported, as it happens; completes with the application. */
  readonly facts: Subject<Fact>;
  /** Aborted when handlers have had their time to finish. */
  readonly shutdown: AbortController;
}

/**
 * Builds the parts and the callbacks by which a lower part reaches a higher one: what the connection receives goes
 * to the dispatcher, what the dispatcher needs is listened to by the connection.
 */
export function createParts(
  options: ResolvedOptions,
  dataSource: DataSource,
  lines: LineLogger,
  backend = postgresBackend,
): PubSubParts {
  const registry = new ChannelRegistry();
  const logger = new PubSubLogger(lines);
  const telemetry = new PubSubTelemetry({
    name: options.name,
    traceContext: options.traceContext,
    isDefined: (channel) => registry.find(channel) !== undefined,
  });
  const facts = new Subject<Fact>();
  const claimHealth = new ClaimHealth();
  const queues: ListenerQueue[] = [];
  const poolWatch = new PoolWatch(() => connection.reopenNow());
  const report: Report = (fact) => {
    try {
      telemetry.record(fact);
      claimHealth.record(fact);
      poolWatch.record(fact);
      logger.write(fact);
    } catch (error) {
      warnOf(error); // what is told of the work must not stop it
    }
    facts.next(fact); // what a subscriber throws, RxJS throws elsewhere
  };
  const shutdown = new AbortController();
  setMaxListeners(0, shutdown.signal); // every running handler may wait for it
  const manager = () => dataSource.manager; // read late: transaction libraries replace it
  const preparation = backend.createPreparation({ options, dataSource, registry, report });
  const connection: Connection = backend.createConnection({
    config: () => resolveListenConfig(assertUsable(dataSource), options.connection),
    isDirected: options.connection !== undefined,
    heartbeat: options.heartbeat,
    reconnect: options.reconnect,
    pool: manager,
    receive: (notification) => {
      if (notification.channel === HINT_CHANNEL) workers.hint(notification.text);
      dispatcher.receive(notification);
    },
    report,
  });
  const dispatcher: Dispatcher = new Dispatcher({
    listen: (channel) => connection.listen(channel),
    unlisten: (channel) => connection.unlisten(channel),
    find: (channel) => registry.find(channel),
    decoderOf: (channel) => registry.decoderOf(channel),
    createNotification: createNotificationFactory({ manager, signal: shutdown.signal }),
    buffer: options.buffer,
    report,
  });
  const settings = new TransactionSettings(dataSource, options.context, () => telemetry.traceContext());
  const database = Database.of(dataSource);
  database.use({ schema: options.schema, role: options.role });
  const schema = () => database.storage.schema; // known once it is connected
  const publisher = new Publisher({
    statements: backend.createStatements(schema),
    pool: manager,
    executor: options.executor,
    contextOf: (executor) => settings.contextOf(executor),
    assertText: (channel, text) => registry.assertText(channel, text),
    report,
  });
  const workers: Workers = backend.createWorkers({
    dataSource,
    schema,
    decoderOf: (channel) => registry.decoderOf(channel),
    concurrency: options.concurrency,
    batch: options.batch,
    poll: options.poll,
    deadPeerTimeoutMs: options.deadPeerTimeoutMs,
    filter: options.filter?.context,
    context: options.context,
    contextOfHandler: () =>
      options.context && telemetry.isTracing
        ? { ...telemetry.traceContext(), ...options.context() }
        : undefined,
    hearsHints: () => connection.state === 'listening',
    signal: shutdown.signal,
    report,
  });
  const stored = new StoredNotifications({
    dataSource,
    storage: () => database.storage,
    nameOf: (channel) => registry.resolve(channel).name,
  });
  const status = new StatusReader({
    name: options.name,
    dataSource,
    schema,
    connection: () => connection.snapshot(),
    claims: () => claimHealth.reasons,
    running: () =>
      queues.map(({ channel, name: listener, longestRunMs: forMs }) => ({ channel, listener, forMs })),
    timeoutMs: (options.heartbeat || HEARTBEAT_DEFAULTS).timeoutMs,
  });
  return {
    options,
    dataSource,
    registry,
    preparation,
    connection,
    publisher,
    settings,
    dispatcher,
    queues,
    workers,
    stored,
    status,
    logger,
    telemetry,
    report,
    facts,
    shutdown,
  };
}
