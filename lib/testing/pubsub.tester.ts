import type { INestApplicationContext } from '@nestjs/common';
import type { ChannelDefinition } from '../channels/channel.definition.js';
import type { ChannelLike, PayloadOf } from '../channels/channel.registry.js';
import type { EntityClass } from '../channels/entity-change.js';
import type { Notification } from '../channels/notification.js';
import { encodeContext } from '../channels/payload.codec.js';
import { PgPubSubError, describeValue } from '../common/errors.js';
import { isJsonObject, type JsonObject } from '../common/json.js';
import { DEFAULT_NAME } from '../common/options.js';
import { INSTANCE } from '../common/tokens.js';
import type { Instance } from '../instance/instance.js';
import { Publisher } from '../publishing/publisher.js';
import type { ResolvedTrigger } from '../triggers/trigger.resolver.js';
import type { SentNotification } from './delivery-record.js';
import type { PublishedChange } from './entity-deliveries.js';
import { TEST_PROCESS } from './loopback.js';
import { noDatabase } from './no-database.js';
import { isTesting, type TestingInstance } from './testing-instance.js';

/** Options of `tester.publish()`. */
export interface PublishOptions {
  readonly context?: object | undefined;
}

/** Is never queried: the statements of the test deliver in this process. */
const NOWHERE = { query: () => Promise.reject(noDatabase('a query')) };

/**
 * Sends notifications as another process would, waits until they are handled, and shows those sent
 * and received. Injectable, or `PubSubTester.of(app)`; usable from `app.init()` to `app.close()`.
 */
export class PubSubTester {
  private readonly publisher: Publisher;

  /** @internal Inject it, or call {@link of}. */
  constructor(private readonly instance: TestingInstance) {
    const { registry, loopback } = instance;
    this.publisher = new Publisher({
      statements: { ...loopback.createStatements(), broadcast: loopback.deliveryFrom(TEST_PROCESS) },
      pool: () => NOWHERE,
      executor: undefined,
      contextOf: () => undefined, // the module's context is this application's
      assertText: (channel, text) => registry.assertText(channel, text),
      report: () => undefined, // this process sees no events of another one
    });
  }

  /** Returns the tester of an application; `name` is the name of the instance. */
  static of(app: Pick<INestApplicationContext, 'get'>, name: string = DEFAULT_NAME): PubSubTester {
    const instances: Instance[] = app.get(INSTANCE, { strict: false, each: true });
    const instance = instances.find((candidate) => candidate.name === name);
    if (!isTesting(instance)) throw notTesting(name);
    return new PubSubTester(instance);
  }

  /**
   * Sends a broadcast as another process would; {@link flush} waits until listeners have handled
   * it. Rejects like `notify()` when JSON cannot represent the payload, the schema rejects it, or
   * it is too large. For an entity it takes a change, whose entities the listeners receive
   * unchanged.
   */
  publish<E extends object>(
    entity: EntityClass<E>,
    change: PublishedChange<E>,
    options?: PublishOptions,
  ): Promise<void>;
  publish<T>(channel: ChannelDefinition<T>, payload: T, options?: PublishOptions): Promise<void>;
  publish(channel: string, payload?: unknown, options?: PublishOptions): Promise<void>;
  async publish(channel: ChannelLike, payload?: unknown, options: PublishOptions = {}): Promise<void> {
    this.assertStarted('publish()');
    const definition = this.instance.registry.resolve(channel);
    if (definition.delivery !== 'broadcast') throw notHandled(definition.name);
    const trigger = this.findTrigger(definition.name, channel, payload);
    if (trigger === undefined)
      await this.publisher.publish(definition, [payload], { context: options.context });
    else this.publishChange(definition, trigger, payload as PublishedChange, options); // add() checks it
  }

  /**
   * Resolves when all notifications delivered so far, and those that their handlers send, are
   * handled. Rejects with the error of a listener or of decoding since the last call, and with an
   * `AggregateError` if there are several.
   */
  async flush(): Promise<void> {
    this.assertStarted('flush()');
    await this.instance.whenIdle();
    const failures = this.instance.record.takeFailures();
    if (failures.length > 1) throw new AggregateError(failures, `${failures.length} deliveries failed`);
    if (failures.length === 1) throw failures[0];
  }

  /** Returns received notifications of a channel or of all, in order, even without a listener. */
  received<const C extends ChannelLike = ChannelLike>(channel?: C): Notification<PayloadOf<C>>[] {
    return this.of(channel, this.instance.record.received) as Notification<PayloadOf<C>>[]; // decoded by its codec
  }

  /**
   * Returns all notifications sent by the application so far on one channel or on all, in order.
   * Those of exactly-once channels are recorded, but not handled.
   */
  sent<const C extends ChannelLike = ChannelLike>(channel?: C): SentNotification<PayloadOf<C>>[] {
    return this.of(channel, this.instance.record.sent) as SentNotification<PayloadOf<C>>[]; // decoded by its codec
  }

  /** Reports to `gaps$` and `@OnGap()` that broadcasts may have been missed since then. */
  interrupt(from: Date = new Date()): void {
    this.assertStarted('interrupt()');
    this.instance.loopback.interrupt({ from, to: new Date() });
  }

  /** Forgets the notifications and failures, for the next test. */
  clear(): void {
    this.instance.record.clear();
  }

  private publishChange(
    channel: ChannelDefinition,
    trigger: ResolvedTrigger,
    change: PublishedChange,
    { context = {} }: PublishOptions,
  ): void {
    const { changes, loopback } = this.instance;
    if (!isJsonObject(context)) throw notAContext(context);
    const carried = JSON.parse(encodeContext(channel, context) ?? '{}') as JsonObject; // written by encodeContext()
    const text = changes.add(channel.name, trigger, change, carried);
    loopback.deliver({ channel: channel.name, text, processId: TEST_PROCESS });
  }

  /** Prefers the given entity, then the class of the rows: several tables may share a channel. */
  private findTrigger(name: string, channel: ChannelLike, payload: unknown): ResolvedTrigger | undefined {
    const own = this.instance.database.triggers.filter((trigger) => trigger.channel === name);
    const rows = isJsonObject(payload) ? [payload['new'], payload['old']] : [];
    const types = new Set<unknown>([
      channel,
      ...rows.map((row) => (row as object | null | undefined)?.constructor),
    ]);
    return own.find(({ target }) => types.has(target)) ?? own[0];
  }

  private of<N extends { readonly channel: string }>(
    channel: ChannelLike | undefined,
    notifications: readonly N[],
  ): N[] {
    if (channel === undefined) return [...notifications];
    const { name } = this.instance.registry.resolve(channel);
    return notifications.filter((notification) => notification.channel === name);
  }

  private assertStarted(method: string): void {
    if (!this.instance.loopback.isOpen) throw notStarted(method);
  }
}

const notStarted = (method: string) =>
  new PgPubSubError(
    'INVALID_ARGUMENT',
    `expected ${method} while the application runs, got it before app.init() or after app.close(). ` +
      'Call "await app.init()" first; compile() starts no listeners.',
  );

const notHandled = (channel: string) =>
  new PgPubSubError(
    'DELIVERY_UNSUPPORTED',
    `expected publish() on a broadcast channel, got the exactly-once channel "${channel}", whose handlers run in a transaction and need a database. ` +
      'Test them on a real one, with notify() and drain().',
  );

const notTesting = (name: string) =>
  new PgPubSubError(
    'UNKNOWN_INSTANCE',
    `expected the application to have an instance "${name}" of PgPubSubTestingModule, got none. ` +
      'Import PgPubSubTestingModule.forRoot(), or replace PgPubSubModule with PgPubSubTestingModule.override().',
  );

const notAContext = (got: unknown) =>
  new PgPubSubError(
    'INVALID_ARGUMENT',
    `expected "context" to be an object, got ${describeValue(got)}. Pass an object such as { tenant }.`,
  );
