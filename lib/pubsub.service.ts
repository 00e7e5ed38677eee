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

/** The notifications that {@link PubSubService.listen} receives. Leaving the loop ends it. */
export type NotificationStream<T> = AsyncIterableIterator<Notification<T>, undefined> & AsyncDisposable;

/**
 * Sends notifications, and receives broadcasts without a decorator. Applications inject it. Each
 * instance of the module has one; it is usable from its injection until the application closes.
 */
@Injectable()
export class PubSubService {
  /** @internal Read by the library's testing kit and commands. */
  readonly [INSTANCE]: Instance;

  /** @internal Called by Nest. */
  constructor(@Inject(INSTANCE) instance: Instance) {
    this[INSTANCE] = instance;
  }

  /**
   * Sends one notification; resolves when the statement has succeeded. With `manager` it joins that
   * transaction, and is sent if and only if the transaction commits. Without, it uses the module's
   * `executor`, else the DataSource's manager.
   *
   * Checks everything before any SQL, because a failed statement would abort the caller's
   * transaction. Rejects with:
   *
   * - `INVALID_CHANNEL`, `CHANNEL_CONFLICT`: the channel is invalid, or defined differently
   *   elsewhere.
   * - `INVALID_ARGUMENT`: an option is unknown, invalid, or does not fit the channel's delivery.
   * - `INVALID_PAYLOAD`: JSON cannot represent the payload, or it contains NUL characters.
   * - `PAYLOAD_REJECTED`: the channel's schema rejects the payload.
   * - `PAYLOAD_TOO_LARGE`: a broadcast exceeds 7,999 bytes.
   * - `STORAGE_MISSING`: the tables of stored notifications do not exist. Reported by the database,
   *   as are other failures, which arrive as TypeORM's errors.
   *
   * PostgreSQL delivers equal broadcasts of one transaction once: add an id if each one counts.
   * Stored notifications are all handled.
   */
  notify<T>(channel: ChannelDefinition<T>, payload: T, options?: NotifyOptions): Promise<void>;
  notify(channel: string, payload?: unknown, options?: NotifyOptions): Promise<void>;
  async notify(channel: ChannelLike, payload?: unknown, options?: NotifyOptions): Promise<void> {
    await this[INSTANCE].publish(channel, [payload], options);
  }

  /**
   * Sends several notifications in one statement, in order: all of them or none. Outside of a
   * transaction the statement is a transaction of its own, in which PostgreSQL delivers equal
   * broadcasts once. Resolves and rejects as {@link notify} does, also with `INVALID_ARGUMENT` if
   * `payloads` is not iterable.
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
   * Returns a hot Observable of the broadcasts on these channels. The first subscriber of a channel
   * starts its LISTEN, the last one ends it; all subscribers share the one LISTEN connection of the
   * process. Completes when the application closes. A notification that cannot be decoded is logged
   * and skipped. {@link gaps$} emits when broadcasts may have been missed.
   *
   * Throws `INVALID_ARGUMENT` without a channel, `INVALID_CHANNEL` for a value that is no channel,
   * `CHANNEL_CONFLICT` if two definitions of one name differ, `DELIVERY_UNSUPPORTED` for an
   * exactly-once channel.
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
   * Receives the broadcasts on these channels, for `for await`. Receives from the call on;
   * notifications that are not consumed yet wait in a buffer (option `buffer`). Ends when the loop
   * is left and when the application closes.
   *
   * Throws as {@link observe} does. With `buffer: { overflow: 'error' }` the loop throws
   * `BUFFER_OVERFLOW` if it is too slow.
   */
  listen<T = unknown>(...channels: string[]): NotificationStream<T>;
  listen<const C extends readonly ChannelLike[]>(...channels: C): NotificationStream<PayloadOf<C[number]>>;
  listen<T>(...channels: ChannelLike<T>[]): NotificationStream<T>;
  listen(...channels: ChannelLike[]): NotificationStream<unknown> {
    const { options, report } = this[INSTANCE];
    return new NotificationIterator(this.observe<unknown>(...channels), options.buffer, report);
  }

  /**
   * Runs `work` in a transaction, and adds `context` to every notification sent in it, by
   * `notify()` or by triggers. Resolves with the result of `work`. With `manager` it uses that open
   * transaction, and restores the previous context after `work`.
   *
   * Rejects with `INVALID_ARGUMENT` if the context is not an object of at most 4,000 bytes of JSON,
   * if `manager` has no open transaction, or if `work` is not a function. Rejects with the error of
   * `work`, which rolls back a transaction that was opened here.
   */
  withContext<T>(
    context: object,
    work: TransactionalWork<T>,
    options: InTransactionOptions = {},
  ): Promise<T> {
    return this[INSTANCE].settings.withContext(context, work, options);
  }

  /**
   * Runs `work` in a transaction whose table changes send no notifications; `notify()` still does.
   * Resolves with the result of `work`. With `manager` it uses that open transaction, and enables
   * the triggers again after `work`. Rejects as {@link withContext} does.
   */
  withoutTriggers<T>(work: TransactionalWork<T>, options: InTransactionOptions = {}): Promise<T> {
    return this[INSTANCE].settings.withoutTriggers(work, options);
  }

  /** Reads, counts, retries and deletes stored notifications and dead letters. */
  get stored(): StoredNotifications {
    return this[INSTANCE].stored;
  }

  /**
   * Handles the stored notifications that are due now, on these channels or on all channels with a
   * listener in this process. Resolves when none is left, with the number of notifications that
   * this process handled meanwhile, and of those that failed for a listener. Not needed in normal
   * operation: the same happens at start and after every reconnect.
   *
   * Rejects with `INVALID_ARGUMENT` for a channel without a listener in this process, and with the
   * error of a claim that failed (`STORAGE_MISSING`, `TIMED_OUT`, `COMPLETION_REFUSED`, or the
   * database's).
   */
  async recover(channels?: readonly ChannelLike[]): Promise<{ handled: number; failed: number }> {
    return this[INSTANCE].recover(channels);
  }

  /**
   * Pauses these exactly-once channels, or all of them: no more notifications are claimed; running
   * claims finish. Broadcasts continue.
   *
   * Without `everywhere` only this process pauses, from the call on, until {@link resume} or its
   * end. Rejects with `INVALID_ARGUMENT` for a channel without a listener in this process.
   *
   * With `everywhere: true` every process pauses, also those that start later. Without channels,
   * this pauses the exactly-once channels that this process knows. Resolves when the pause is
   * stored. Other processes learn of it at once, or within 10 s where hints do not arrive. Rejects
   * with `INVALID_ARGUMENT` for a broadcast channel or if no exactly-once channel is known, and
   * with `STORAGE_MISSING`.
   */
  pause(channels?: readonly ChannelLike[], options?: PauseOptions): Promise<void> {
    return this[INSTANCE].pauses.pause(channels, options);
  }

  /**
   * Resumes these channels, or all that are paused. Without `everywhere` it ends only the pauses of
   * this process; with it, only those of all processes. Rejects as {@link pause} does.
   */
  resume(channels?: readonly ChannelLike[], options?: PauseOptions): Promise<void> {
    return this[INSTANCE].pauses.resume(channels, options);
  }

  /**
   * Resolves with a health report of this instance: its LISTEN connection, the backlog of each
   * channel, the server's notification queue, and the reasons if it is not healthy. A plain object,
   * for a page or a probe; `nestjs-pgpubsub/terminus` has a health indicator.
   *
   * Does not reject when the database is unreachable: `health` is `'down'` then. Takes at most
   * `heartbeat.timeoutMs`. Rejects with `INVALID_ARGUMENT` for an unknown or invalid option.
   */
  status(options?: StatusOptions): Promise<PubSubStatus> {
    return this[INSTANCE].status.read(options);
  }

  /** Emits the state of the LISTEN connection: the current one at subscription, then changes. */
  get connection$(): Observable<ConnectionState> {
    return this[INSTANCE].connection.state$;
  }

  /** Emits a {@link Gap} after every interruption in which broadcasts may have been missed. */
  get gaps$(): Observable<Gap> {
    return this[INSTANCE].connection.gaps$;
  }

  /**
   * Emits what happens in this instance: connections lost, notifications handled, failed or
   * dropped. The library's log lines and metrics are made of the same events; `docs/events.md`
   * lists them. Subscribers are called synchronously while notifications are handled: they must be
   * quick and must not throw.
   */
  get events$(): Observable<PubSubEvent> {
    return this[INSTANCE].events.asObservable();
  }

  private broadcasts(channels: readonly ChannelLike[], method: string): SelectedChannel[] {
    if (channels.length === 0)
      throw invalidArgument(
        `${method} to be called with at least one channel`,
        'none',
        'Name the channels to receive.',
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
    'Put them into [ ], or call notify() for a single payload.',
  );
}

const invalidArgument = (expected: string, got: string, remedy: string) =>
  new PgPubSubError('INVALID_ARGUMENT', `expected ${expected}, got ${got}. ${remedy}`);

const notObservable = (name: string, method: string) =>
  new PgPubSubError(
    'DELIVERY_UNSUPPORTED',
    `expected ${method} to be called with broadcast channels, got "${name}", which is exactly-once: each of its ` +
      'notifications is handled in the transaction that acknowledges it, which an observer cannot join. Use @Listener().',
  );
