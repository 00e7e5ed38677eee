import { Inject, Injectable } from '@nestjs/common';
import type { Observable } from 'rxjs';
import type { ChannelDefinition } from './channels/channel.definition.js';
import type { ChannelLike, PayloadOf, SelectedChannel } from './channels/channel.registry.js';
import type { Notification } from './channels/notification.js';
import { PgPubSubError, describeValue } from './common/errors.js';
import type { ConnectionState, PubSubEvent, Gap } from './common/events.js';
import { INSTANCE } from './common/tokens.js';
import { NotificationIterator } from './dispatch/notification-iterator.js';
import type { PauseOptions } from './instance/channel-pauses.js';
import type { Instance } from './instance/instance.js';
import type { StatusOptions } from './observability/health.js';
import type { PubSubStatus } from './observability/pubsub.status.js';
import type { NotifyOptions } from './publishing/notify-options.js';
import type { InTransactionOptions, TransactionalWork } from './publishing/transaction-settings.js';
import type { StoredNotifications } from './store/stored-notifications.js';

/** `for await (const notification of …)`, ended by `break`, `return()` or `await using`. */
export type NotificationStream<T> = AsyncIterableIterator<Notification<T>, undefined> & AsyncDisposable;

/**
 * What applications inject: sends notifications, and receives them without a decorator. One per instance of the
 * module; usable as soon as it can be injected, until the application closes.
 */
@Injectable()
export class PubSubService {
  /** @internal For the library's testing kit and commands. */
  readonly [INSTANCE]: Instance;

  /** @internal By Nest. */
  constructor(@Inject(INSTANCE) instance: Instance) {
    this[INSTANCE] = instance;
  }

  /**
   * Sends one notification, and resolves when the SQL is done. With `manager` it joins that transaction: sent if
   * and only if it commits. Without, it uses the module's `executor`, else the DataSource's manager.
   *
   * Everything that could fail in the database is checked before any SQL, because a failing statement would abort
   * the transaction: `INVALID_CHANNEL`, `INVALID_PAYLOAD` (what JSON cannot carry, NUL characters),
   * `PAYLOAD_REJECTED` (by the channel's schema), `PAYLOAD_TOO_LARGE` (over 7,999 bytes), `INVALID_ARGUMENT`.
   *
   * PostgreSQL delivers equal broadcasts of one transaction once: add an id when every one counts. Stored ones are all
   * handled.
   */
  notify<T>(channel: ChannelDefinition<T>, payload: T, options?: NotifyOptions): Promise<void>;
  notify(channel: string, payload?: unknown, options?: NotifyOptions): Promise<void>;
  async notify(channel: ChannelLike, payload?: unknown, options?: NotifyOptions): Promise<void> {
    await this[INSTANCE].publish(channel, [payload], options);
  }

  /**
   * Sends many in one statement: all or none, in order. Outside of a transaction that statement is one, in which
   * PostgreSQL delivers equal broadcasts once. Checks, and rejects, as {@link notify} does.
   */
  notifyMany<T>(channel: ChannelDefinition<T>, payloads: Iterable<T>, options?: NotifyOptions): Promise<void>;
  notifyMany(channel: string, payloads: Iterable<unknown>, options?: NotifyOptions): Promise<void>;
  async notifyMany(
    channel: ChannelLike,
    payloads: Iterable<unknown>,
    options?: NotifyOptions,
  ): Promise<void> {
    await this[INSTANCE].publish(channel, payloadsOf(payloads), options);
  }

  /**
   * The broadcasts of these channels from now on, hot: LISTEN with the first subscriber, UNLISTEN with the last,
   * whoever they are; all share the one LISTEN connection of the process. Completes when the application closes.
   * `pubsub.gaps$` tells when some may have been missed.
   *
   * Throws `INVALID_ARGUMENT` without a channel, `INVALID_CHANNEL` and `CHANNEL_CONFLICT` for what is none,
   * `DELIVERY_UNSUPPORTED` for one that is exactly-once. What cannot be decoded is logged, and does not end it.
   */
  observe<T = unknown>(...channels: string[]): Observable<Notification<T>>;
  observe<const C extends readonly ChannelLike[]>(
    ...channels: C
  ): Observable<Notification<PayloadOf<C[number]>>>;
  observe<T>(...channels: ChannelLike<T>[]): Observable<Notification<T>>;
  observe(...channels: ChannelLike[]): Observable<Notification> {
    return this[INSTANCE].dispatcher.observeAll(this.broadcasts(channels, 'observe()'));
  }

  /**
   * What {@link observe} gives, for `for await`. It receives from the call on; what is not consumed yet waits in a buffer (option
   * `buffer`). Leaving the loop ends it; so does the end of the application. Throws as {@link observe} does; with
   * `buffer: { overflow: 'error' }` the loop ends with `BUFFER_OVERFLOW` when it is too slow.
   */
  listen<T = unknown>(...channels: string[]): NotificationStream<T>;
  listen<const C extends readonly ChannelLike[]>(...channels: C): NotificationStream<PayloadOf<C[number]>>;
  listen<T>(...channels: ChannelLike<T>[]): NotificationStream<T>;
  listen(...channels: ChannelLike[]): NotificationStream<unknown> {
    const { options, report } = this[INSTANCE];
    return new NotificationIterator(this.observe<unknown>(...channels), options.buffer, report);
  }

  /**
   * Runs the work in a transaction, in which everything notified, by `notify()` or by triggers, carries the context.
   * With `manager` in that transaction, which is open already, for the time of the work. Resolves with what the work
   * returns. Rejects with `INVALID_ARGUMENT` for a context that JSON cannot carry in 4,000 bytes, and for a `manager` outside
   * of a transaction; and with what the work throws, which undoes a transaction that was opened here.
   */
  withContext<T>(
    context: object,
    work: TransactionalWork<T>,
    options: InTransactionOptions = {},
  ): Promise<T> {
    return this[INSTANCE].settings.withContext(context, work, options);
  }

  /**
   * Runs the work in a transaction whose table changes notify nobody; `notify()` does as ever. With `manager` for the time of
   * the work. Rejects as {@link withContext} does.
   */
  withoutTriggers<T>(work: TransactionalWork<T>, options: InTransactionOptions = {}): Promise<T> {
    return this[INSTANCE].settings.withoutTriggers(work, options);
  }

  /** What is stored: to look at, to try again, to throw away. */
  get stored(): StoredNotifications {
    return this[INSTANCE].stored;
  }

  /**
   * Handles what is stored and claimable now, and resolves when nothing is left, with the number of notifications that were
   * handled meanwhile, and of those that failed. Without channels: all that have a listener in this process. It happens
   * by itself at start and after every reconnect. Rejects with `INVALID_ARGUMENT` for a channel that no listener of this
   * process handles.
   */
  async recover(channels?: readonly ChannelLike[]): Promise<{ handled: number; failed: number }> {
    return this[INSTANCE].recover(channels);
  }

  /**
   * Pauses exactly-once channels, or all of them: nothing more of them is claimed, once running claims have ended. Broadcasts go
   * on. Without `everywhere` this process alone pauses, from the call on, until {@link resume} or its end; rejects as
   * {@link recover} does.
   *
   * With `everywhere: true` every process pauses, those that start later included: the pause is stored, and processes are told at
   * once, or learn within 10 s where hints do not arrive. Without channels it means the exactly-once channels that this process
   * knows. Resolves when the pause is stored. Rejects with `INVALID_ARGUMENT` for a broadcast channel.
   */
  pause(channels?: readonly ChannelLike[], options?: PauseOptions): Promise<void> {
    return this[INSTANCE].pauses.pause(channels, options);
  }

  /**
   * Undoes {@link pause}, for these channels or for all. Without `everywhere` only what this process has paused for itself; with
   * it only what was paused everywhere. Rejects as {@link pause} does.
   */
  resume(channels?: readonly ChannelLike[], options?: PauseOptions): Promise<void> {
    return this[INSTANCE].pauses.resume(channels, options);
  }

  /**
   * How this instance is doing: its LISTEN connection, what is stored, the server's queue of notifications, and what is
   * not well about it. A plain object, for a page or a probe. It does not reject because the database is away, that is
   * `'down'`; and it takes no longer than `heartbeat.timeoutMs`. `nestjs-pgpubsub/terminus` has it as an indicator.
   * Rejects with `INVALID_ARGUMENT` for options that are unknown or cannot be meant.
   */
  status(options?: StatusOptions): Promise<PubSubStatus> {
    return this[INSTANCE].status.read(options);
  }

  /** The state of the LISTEN connection, now and at every change. */
  get connection$(): Observable<ConnectionState> {
    return this[INSTANCE].connection.state$;
  }

  /** A {@link Gap} after every time in which broadcasts may have been missed. */
  get gaps$(): Observable<Gap> {
    return this[INSTANCE].connection.gaps$;
  }

  /**
   * What happens in this instance, as it happens: connections lost, notifications handled, failed, dropped. The same events
   * become log lines and metrics; here an application can count them its own way, or tell an error tracker.
   * `docs/events.md` lists them. A subscriber must not throw, and is called where the work is done: be short.
   */
  get events$(): Observable<PubSubEvent> {
    return this[INSTANCE].events.asObservable();
  }

  private broadcasts(channels: readonly ChannelLike[], method: string): SelectedChannel[] {
    if (channels.length === 0)
      throw invalidArgument(
        `${method} to be called with at least one channel`,
        'none',
        'Name what to receive.',
      );
    const selected = this[INSTANCE].registry.select(channels);
    for (const { definition } of selected)
      if (definition.delivery !== 'broadcast') throw notObservable(definition.name, method);
    return selected;
  }
}

function payloadsOf(payloads: Iterable<unknown>): unknown[] {
  const given: unknown = payloads;
  if (typeof given === 'object' && given !== null && Symbol.iterator in given) return [...payloads];
  throw invalidArgument(
    'the payloads of notifyMany() in an array or another iterable',
    describeValue(given),
    'Put them into [ ], or call notify() for a single one.',
  );
}

const invalidArgument = (expected: string, got: string, way: string) =>
  new PgPubSubError('INVALID_ARGUMENT', `expected ${expected}, got ${got}. ${way}`);

const notObservable = (name: string, method: string) =>
  new PgPubSubError(
    'DELIVERY_UNSUPPORTED',
    `expected ${method} of broadcast channels, got "${name}", which is exactly-once: each of its notifications is ` +
      'handled by one listener in the transaction that acknowledges it, which somebody who merely looks on cannot do. ' +
      'Use @Listener().',
  );
