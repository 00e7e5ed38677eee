import { setImmediate as turn, setTimeout as delay } from 'node:timers/promises';
import {
  Inject,
  Injectable,
  Optional,
  type OnApplicationBootstrap,
  type OnModuleDestroy,
  type OnModuleInit,
} from '@nestjs/common';
import { ApplicationConfig, DiscoveryService, ExternalContextCreator, MetadataScanner } from '@nestjs/core';
import { filter, type Subscription } from 'rxjs';
import type { ChannelLike } from './channels/channel.registry.js';
import { PgPubSubError } from './common/errors.js';
import { LISTENER_SELECTION, PARTS } from './common/tokens.js';
import { ListenerQueue } from './dispatch/listener-queue.js';
import type { GapHandler, ListenerDefinition } from './listeners/listener.definition.js';
import { ListenerExplorer, type Discovered } from './listeners/listener.explorer.js';
import { ListenerSelection, listedListeners, type ListenerCandidate } from './listener.selection.js';
import type { PubSubParts } from './pubsub.parts.js';
import { HINT_CHANNEL } from './storage/storage.sql.js';

/** What `forFeature()` provides: channels to be known by name. */
export class ChannelFeature {
  constructor(
    readonly channels: readonly ChannelLike[],
    readonly pubsub: string,
  ) {}
}

/**
 * The start and the stop of one instance, in order. One provider owns both sequences, because Nest 11 runs the
 * hooks of a module's providers at the same time. Stopping never rejects: that would keep Nest 11 from closing the rest.
 */
@Injectable()
export class PubSubLifecycle implements OnModuleInit, OnApplicationBootstrap, OnModuleDestroy {
  private readonly subscriptions: Subscription[] = [];
  private readonly gapCalls = new Set<Promise<unknown>>();
  private areEntitiesPrepared = false;
  private prepared: Promise<Discovered> | undefined;

  constructor(
    @Inject(PARTS) private readonly parts: PubSubParts,
    @Inject(DiscoveryService) private readonly discovery: DiscoveryService,
    @Inject(MetadataScanner) private readonly scanner: MetadataScanner,
    @Inject(ExternalContextCreator) private readonly contexts: ExternalContextCreator,
    @Inject(ApplicationConfig) private readonly config: ApplicationConfig,
    @Optional() @Inject(LISTENER_SELECTION) private readonly selection?: ListenerSelection,
  ) {}

  get name(): string {
    return this.parts.options.name;
  }

  /** Early, so that `notify('name')` in the application's own hooks finds its channels defined. */
  async onModuleInit(): Promise<void> {
    this.parts.telemetry.start(); // as early as all providers are there: one of them may have registered an SDK
    const instances = this.instanceNames();
    if (instances.filter((name) => name === this.name).length > 1) throw duplicateInstance(this.name);
    if (this.parts.preparation.isPossible) await this.prepareEntities();
    for (const { channels, pubsub } of this.found(ChannelFeature)) {
      assertInstance(pubsub, instances, 'forFeature()');
      if (pubsub !== this.name) continue;
      for (const channel of channels) this.parts.telemetry.name(this.parts.registry.resolve(channel).name);
    }
  }

  /** Every `onModuleInit` is done: providers are ready to handle what arrives. */
  async onApplicationBootstrap(): Promise<void> {
    try {
      const { gapHandlers } = await this.prepare();
      const chosen = await this.chosen();
      for (const listener of chosen) this.attach(listener);
      for (const handler of gapHandlers) this.attachGapHandler(handler);
      // no deadline: this method opens the LISTEN connection, which limits itself
      await this.connect(chosen);
    } catch (error) {
      // Nest runs no destroy hooks then: neither ours nor those of instances that have started already.
      await Promise.all(this.found(PubSubLifecycle).map((instance) => instance.close()));
      throw error;
    }
  }

  /** Before TypeORM closes its pool and Nest its server, whose open responses the completed subjects end. */
  async onModuleDestroy(): Promise<void> {
    await this.close();
  }

  /** Once: whoever chooses among the listeners of all instances asks before it is this one's turn to start. */
  private prepare(): Promise<Discovered> {
    this.prepared ??= this.discover();
    return this.prepared;
  }

  private async discover(): Promise<Discovered> {
    this.parts.preparation.assertPossible();
    await this.prepareEntities();
    const discovered = await this.explore();
    for (const { channel } of discovered.listeners) this.parts.telemetry.name(channel.name); // whether they run here or not
    await this.parts.preparation.prepareStorage();
    return discovered;
  }

  /** Resolves when every broadcast received by now has been handled, and what that has caused. For tests. */
  async whenIdle(): Promise<void> {
    for (;;) {
      await turn(); // what has been received is on its way to the queues
      const running = this.parts.queues.filter(({ isRunning }) => isRunning).map((queue) => queue.whenIdle());
      const work = [...this.parts.dispatcher.decoding, ...running, ...this.gapCalls];
      if (work.length === 0) return;
      await Promise.all(work);
    }
  }

  /** Early if that is possible, and else late. */
  private async prepareEntities(): Promise<void> {
    if (this.areEntitiesPrepared) return;
    this.areEntitiesPrepared = true;
    await this.parts.preparation.prepareEntities();
  }

  private explore(): Promise<Discovered> {
    const { options, registry, report } = this.parts;
    const instances = this.instanceNames();
    return new ListenerExplorer(this.discovery, this.scanner, this.contexts, this.config).explore({
      name: this.name,
      globalEnhancers: options.globalEnhancers,
      registry,
      report,
      assertInstance: (name, method) => assertInstance(name, instances, method),
    });
  }

  /** By the option `listen`, or by whoever runs the application, who sees the listeners of all instances before any runs. */
  private async chosen(): Promise<readonly ListenerDefinition[]> {
    const { selection, parts } = this;
    if (selection === undefined) return listedListeners(parts, (await this.prepare()).listeners);
    return selection.chosenOf(parts, async () => {
      const candidates = this.found(PubSubLifecycle).map((instance) => instance.candidates());
      return (await Promise.all(candidates)).flat();
    });
  }

  private async candidates(): Promise<ListenerCandidate[]> {
    const { parts } = this;
    const { listeners } = await this.prepare();
    const listed = parts.options.listen === false ? listeners : listedListeners(parts, listeners);
    return listeners.map((listener) => ({
      parts,
      listener,
      channelNames: [listener.channel.name, ...parts.registry.classNamesOf(listener.channel.name)],
      isListed: listed.includes(listener),
    }));
  }

  private attach(listener: ListenerDefinition): void {
    const { channel, name } = listener;
    const invoke = this.parts.telemetry.handling({ channel: channel.name, listener: name }, listener.invoke);
    if (channel.delivery === 'exactly-once') this.attachStored({ ...listener, invoke });
    else this.attachBroadcast({ ...listener, invoke });
  }

  private attachStored({ channel, ...listener }: ListenerDefinition): void {
    const { options, workers } = this.parts;
    const retry = { ...options.retry, ...channel.retry, ...listener.retry };
    const timeoutMs = listener.timeoutMs ?? channel.timeoutMs ?? options.timeoutMs;
    workers.attach(channel, { ...listener, retry, timeoutMs });
  }

  private attachBroadcast({ name, channel, concurrency, accepts, invoke }: ListenerDefinition): void {
    const { dispatcher, options, report } = this.parts;
    const queue = new ListenerQueue({
      channel: channel.name,
      listener: name,
      concurrency,
      invoke,
      buffer: options.buffer,
      report,
    });
    this.parts.queues.push(queue);
    const notifications = dispatcher.observe(channel);
    const wanted = accepts === undefined ? notifications : notifications.pipe(filter(accepts));
    wanted.subscribe((notification) => queue.push(notification));
  }

  private attachGapHandler({ name, invoke }: GapHandler): void {
    const { connection, report } = this.parts;
    const subscription = connection.gaps$.subscribe((gap) => {
      const call: Promise<unknown> = invoke(gap)
        .catch((error: unknown) => report({ type: 'gap-handler-failed', listener: name, error }))
        .then(() => this.gapCalls.delete(call));
      this.gapCalls.add(call);
    });
    this.subscriptions.push(subscription);
  }

  /** A process that only publishes needs no connection until somebody observes. */
  private async connect(chosen: readonly ListenerDefinition[]): Promise<void> {
    const { connection, options, workers } = this.parts;
    if (!workers.isEmpty) connection.listen(HINT_CHANNEL);
    if (options.listen === true || chosen.length > 0) await connection.start();
    else connection.startWhenWanted();
    workers.start();
    // LISTEN is in force again, or hints have ceased to arrive: what is there by now is looked for at once.
    this.subscriptions.push(connection.state$.subscribe(() => workers.wakeAll()));
  }

  private async close(): Promise<void> {
    const { dispatcher, connection, logger, report, facts } = this.parts;
    try {
      connection.stopReopening();
      for (const subscription of this.subscriptions) subscription.unsubscribe();
      dispatcher.close();
      await this.settleHandlers();
      await connection.stop();
    } catch (error) {
      report({ type: 'close-failed', error });
    }
    logger.close();
    facts.complete();
  }

  /** Lets running handlers finish, up to the timeout; then tells them by their signal, and leaves them behind. */
  private async settleHandlers(): Promise<void> {
    const { options, shutdown, report, workers } = this.parts;
    const settled = new AbortController();
    const afterMs = options.shutdownTimeoutMs;
    void delay(afterMs, undefined, { signal: settled.signal }).then(
      () => shutdown.abort(),
      () => undefined,
    );
    const [claims] = await Promise.all([
      workers.stop(shutdown.signal),
      ...this.parts.queues.map((queue) => queue.close(shutdown.signal)),
    ]);
    settled.abort();
    await turn(); // those that end on their signal have ended then
    const queues = this.parts.queues.filter(({ isRunning }) => isRunning).map(({ name }) => name);
    const listeners = [...queues, ...claims];
    if (listeners.length > 0) report({ type: 'abandoned', listeners, afterMs });
  }

  private instanceNames(): string[] {
    return this.found(PubSubLifecycle).map(({ name }) => name);
  }

  private found<T>(type: abstract new (...args: never[]) => T): T[] {
    const instances = this.discovery
      .getProviders()
      .map((wrapper): unknown => (wrapper.isAlias ? undefined : wrapper.instance));
    return instances.filter((instance): instance is T => instance instanceof type);
  }
}

function assertInstance(name: string, instances: readonly string[], asker: string): void {
  if (instances.includes(name)) return;
  throw new PgPubSubError(
    'UNKNOWN_INSTANCE',
    `${asker}: expected the name of an instance (${instances.join(', ')}), got "${name}". ` +
      `Register it with PgPubSubModule.forRoot({ name: '${name}' }).`,
  );
}

const duplicateInstance = (name: string) =>
  new PgPubSubError(
    'DUPLICATE_INSTANCE',
    `expected PgPubSubModule.forRoot() once per name, got it twice for "${name}". ` +
      'Register it in one module, which is global, or give the second one a name of its own.',
  );
