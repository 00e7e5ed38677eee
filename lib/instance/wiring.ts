import { Workers } from '../claims/workers.js';
import { HEARTBEAT_DEFAULTS } from '../common/options.js';
import { applicationNameOf, assertUsable, resolveListenConfig } from '../connection/listen-config.js';
import { BroadcastListeners } from '../dispatch/broadcast-listeners.js';
import { createNotificationFactory } from '../dispatch/broadcast-notification.js';
import { InstanceConnection } from '../connection/instance-connection.js';
import { Dispatcher } from '../dispatch/dispatcher.js';
import { StatusReader } from '../observability/pubsub.status.js';
import { PubSubTelemetry } from '../observability/pubsub.telemetry.js';
import { Publisher } from '../publishing/publisher.js';
import { keptDeadLetters, removeExpiredDeadLetters } from '../store/expired-dead-letters.js';
import { StoredNotifications } from '../store/stored-notifications.js';
import type { Instance } from './instance.js';
import { ProcessHeartbeat } from './process-heartbeat.js';
import { ChannelPauses } from './channel-pauses.js';
import type { TransportConnection, Transport } from './transport.js';

// Each function builds one part of an instance, with callbacks to the other parts. A callback may
// use parts that are built later: none is called before the instance is complete.

export function createTelemetry({ options, registry }: Instance): PubSubTelemetry {
  return new PubSubTelemetry({
    name: options.name,
    traceContext: options.traceContext,
    isDefined: (channel) => registry.find(channel) !== undefined,
  });
}

export function createConnection(instance: Instance, transport: Transport): TransportConnection {
  const { options, dataSource, hints, report } = instance;
  return transport.createConnection({
    config: () => resolveListenConfig(assertUsable(dataSource), options.connection),
    canConnect: () => dataSource.isInitialized && dataSource.options.type === 'postgres',
    isDirected: options.connection !== undefined,
    heartbeat: options.heartbeat,
    reconnect: options.reconnect,
    pool: () => dataSource.manager, // read at each use: transaction libraries replace it
    receive: (notification) => {
      hints.receive(notification);
      instance.dispatcher.receive(notification);
    },
    report,
  });
}

export function createDispatcher(instance: Instance): Dispatcher {
  const { options, dataSource, registry, signal, report } = instance;
  return new Dispatcher({
    listen: (channel) => instance.connection.listen(channel),
    unlisten: (channel) => instance.connection.unlisten(channel),
    channels: registry,
    createNotification: createNotificationFactory({ manager: () => dataSource.manager, signal }),
    buffer: options.buffer,
    report,
  });
}

export function createListeners({ dispatcher, connection, options, report }: Instance): BroadcastListeners {
  return new BroadcastListeners({
    dispatcher,
    listenFirst: (channel) => connection.listen(channel, { first: true }),
    buffer: options.buffer,
    report,
  });
}

export function createStored(instance: Instance): StoredNotifications {
  const { dataSource, registry, workers, report } = instance;
  return new StoredNotifications({
    dataSource,
    storage: () => instance.database.storage,
    nameOf: (channel) => registry.resolve(channel).name,
    listenersOf: (channel) => workers.listenersOf(channel),
    report,
  });
}

export function createPublisher(instance: Instance, transport: Transport): Publisher {
  const { options, dataSource, registry, report } = instance;
  return new Publisher({
    statements: transport.createStatements(() => instance.database.storage.schema), // known once it is connected
    pool: () => dataSource.manager,
    executor: options.executor,
    contextOf: (executor) => instance.settings.contextOf(executor),
    assertText: (channel, text) => registry.assertText(channel, text),
    report,
  });
}

export function createWorkers(instance: Instance): Workers {
  const { options, dataSource, registry, telemetry, hints, signal, report } = instance;
  return new Workers({
    dataSource,
    schema: () => instance.database.storage.schema,
    channels: registry,
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
    receivesHints: () => hints.areReceived,
    signal,
    report,
  });
}

export function createStatus(instance: Instance): StatusReader {
  const { options, dataSource, claimHealth } = instance;
  return new StatusReader({
    name: options.name,
    dataSource,
    schema: () => instance.database.storage.schema,
    connection: () => instance.connection.snapshot(),
    listenersOf: (channel) => instance.workers.listenersOf(channel),
    claims: () => claimHealth.reasons,
    pausedHere: () => instance.workers.paused.here,
    running: () => instance.listeners.running,
    timeoutMs: (options.heartbeat || HEARTBEAT_DEFAULTS).timeoutMs,
  });
}

export function createInstanceConnection({ options, dataSource }: Instance): InstanceConnection {
  return new InstanceConnection(() =>
    resolveListenConfig(assertUsable(dataSource), options.connection, 'heartbeat'),
  );
}

export function createHeartbeat(instance: Instance, connection: InstanceConnection): ProcessHeartbeat {
  const { dataSource, workers, pauses, report } = instance;
  return new ProcessHeartbeat({
    connection,
    schema: () => instance.database.storage.schema,
    application: () => applicationNameOf(assertUsable(dataSource)),
    listeners: () => workers.listenersByChannel,
    duties: [() => pauses.read(), createExpiry(instance, connection)],
    report,
  });
}

/** Returns a duty that deletes expired dead letters, beside the heartbeats; one run at a time. */
function createExpiry(instance: Instance, connection: InstanceConnection): () => Promise<void> {
  const { options, registry, database, report } = instance;
  let running: Promise<unknown> | undefined;
  return () => {
    const kept = keptDeadLetters(registry.definitions, options.deadLetters);
    running ??= removeExpiredDeadLetters(connection, database.storage.schema, kept)
      .catch((error: unknown) => {
        if (!instance.isStopped) report({ type: 'expiry-failed', error });
      })
      .finally(() => (running = undefined));
    return Promise.resolve();
  };
}

export function createPauses(
  instance: Instance,
  connection: InstanceConnection,
  signal: AbortSignal,
): ChannelPauses {
  const { dataSource, registry, workers, report } = instance;
  return new ChannelPauses({
    registry,
    workers,
    pool: () => dataSource.manager,
    connection,
    schema: () => instance.database.storage.schema,
    signal,
    report,
  });
}
