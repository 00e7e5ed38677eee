import * as v from 'valibot';
import { OVERFLOW_POLICIES } from './overflow.js';
import {
  ageLimit,
  anyObject,
  group,
  groupOrFalse,
  milliseconds,
  optional,
  overriding,
  pausesGrow,
  wholeNumber,
  type CheckedOptions,
} from './parse.js';

/** A named group of options: types that are declared in place lose their comments. */
type GroupOf<Members> = v.GenericSchema<Partial<Members>, Members>;

export const HEARTBEAT_OPTIONS = {
  /**
   * Interval of the test, and of self-tests on a deaf connection. Bounds how long a
   * dead link goes unnoticed.
   *
   * @defaultValue `10_000`
   * @remarks A link dies silently when, for example, a firewall forgets it or a host vanishes.
   */
  intervalMs: optional(milliseconds(1), 10_000),
  /**
   * Time limit for the answer; then the connection is replaced. Also limits LISTEN statements, the
   * self-test and `pubsub.status()`.
   *
   * @defaultValue `5_000`
   */
  timeoutMs: optional(milliseconds(1), 5_000),
};

/** How the LISTEN connection proves that it is alive: the option `heartbeat`. */
export interface HeartbeatOptions extends CheckedOptions<typeof HEARTBEAT_OPTIONS> {}

export const heartbeat: v.GenericSchema<Partial<HeartbeatOptions> | false, HeartbeatOptions | false> =
  groupOrFalse(HEARTBEAT_OPTIONS);

export const HEARTBEAT_DEFAULTS: HeartbeatOptions = v.parse(group(HEARTBEAT_OPTIONS), {});

export const RECONNECT_OPTIONS = {
  /**
   * Longest pause before the second attempt. Pauses double, with full jitter.
   *
   * @defaultValue `100`
   * @remarks Full jitter: each pause is random between 0 and its bound.
   */
  minDelayMs: optional(milliseconds(1), 100),
  /**
   * Longest pause between attempts, which never stop; at least `minDelayMs`. Lower it to recover
   * sooner after a failover, raise it for many processes on a small database.
   *
   * @defaultValue `30_000`
   */
  maxDelayMs: optional(milliseconds(1), 30_000),
};

/** How the LISTEN connection comes back: the option `reconnect`. */
export interface ReconnectOptions extends CheckedOptions<typeof RECONNECT_OPTIONS> {}

export const reconnect: GroupOf<ReconnectOptions> = v.pipe(group(RECONNECT_OPTIONS), pausesGrow());

export const POLL_OPTIONS = {
  /**
   * Polling interval of exactly-once channels while hints arrive.
   *
   * @defaultValue `30_000`
   */
  intervalMs: optional(milliseconds(1), 30_000),
  /**
   * Polling interval while the LISTEN connection is lost or deaf; default of `pollIntervalMs`.
   *
   * @defaultValue `1_000`
   * @remarks Without a working LISTEN connection no hint arrives.
   */
  deafIntervalMs: optional(milliseconds(1), 1_000),
};

/** The polling intervals of exactly-once channels: the option `poll`. */
export interface PollOptions extends CheckedOptions<typeof POLL_OPTIONS> {}

export const poll: GroupOf<PollOptions> = group(POLL_OPTIONS);

export const BATCH_OPTIONS = {
  /**
   * Largest number of stored notifications in a claim. Larger claims commit less often, and repeat
   * more after a crash.
   *
   * @defaultValue `100`
   */
  maxSize: optional(wholeNumber(1), 100),
  /**
   * Time after which a claim commits; the running handler may finish.
   *
   * @defaultValue `250`
   */
  maxTimeMs: optional(milliseconds(), 250),
};

/** How much one claim of stored notifications takes: the option `batch`. */
export interface BatchOptions extends CheckedOptions<typeof BATCH_OPTIONS> {}

export const batch: GroupOf<BatchOptions> = group(BATCH_OPTIONS);

export const RETRY_OPTIONS = {
  /**
   * Attempts before a stored notification becomes a dead letter.
   *
   * @defaultValue `10`
   */
  maxAttempts: optional(wholeNumber(1), 10),
  /**
   * Longest pause before the second attempt. Pauses double, with full jitter.
   *
   * @defaultValue `1_000`
   * @remarks Full jitter: each pause is random between 0 and its bound.
   */
  minDelayMs: optional(milliseconds(1), 1_000),
  /**
   * Longest pause between attempts, at least `minDelayMs`.
   *
   * @defaultValue `3_600_000`
   */
  maxDelayMs: optional(milliseconds(1), 3_600_000),
};

/** How stored notifications are retried: the option `retry` of module, channel and listener. */
export interface RetryOptions extends CheckedOptions<typeof RETRY_OPTIONS> {}

export const retry: GroupOf<RetryOptions> = v.pipe(group(RETRY_OPTIONS), pausesGrow());

/** `retry` of a channel or listener, which overrides the module's. */
export const retryOverride: v.GenericSchema<Partial<RetryOptions>> = v.pipe(
  overriding(RETRY_OPTIONS),
  pausesGrow(),
);

export const BUFFER_OPTIONS = {
  /**
   * Number of broadcasts that may wait for a slow listener or iterator. Others are dropped, counted
   * and reported.
   *
   * @defaultValue `10_000`
   * @remarks The socket is always read, so that a slow receiver never holds back the server.
   */
  maxSize: optional(wholeNumber(1), 10_000),
  /**
   * Which broadcast is dropped: the oldest, the new one, or (`'error'`) the new one as a failure,
   * which ends iterators with `BUFFER_OVERFLOW`.
   *
   * @defaultValue `'drop-oldest'`
   * @remarks `'drop-oldest'` suits signals to reload, of which only the newest matters.
   */
  overflow: optional(v.picklist(OVERFLOW_POLICIES), 'drop-oldest'),
};

/** How many broadcasts may wait for a slow receiver: the option `buffer`. */
export interface BufferOptions extends CheckedOptions<typeof BUFFER_OPTIONS> {}

export const buffer: GroupOf<BufferOptions> = group(BUFFER_OPTIONS);

export const DEAD_LETTER_OPTIONS = {
  /**
   * Age at which dead letters are deleted, counted from their failure by the server's clock.
   *
   * @defaultValue `false`
   * @remarks A process that handles the channel deletes them. `false`: they are kept.
   */
  keepMs: optional(ageLimit(0), false),
};

/** How long dead letters are kept: the option `deadLetters` of the module or of a channel. */
export interface DeadLetterOptions extends CheckedOptions<typeof DEAD_LETTER_OPTIONS> {}

export const deadLetters: GroupOf<DeadLetterOptions> = group(DEAD_LETTER_OPTIONS);

/** `deadLetters` of a channel, which overrides the module's. */
export const deadLettersOverride: v.GenericSchema<Partial<DeadLetterOptions>> =
  overriding(DEAD_LETTER_OPTIONS);

export const FILTER_OPTIONS = { context: anyObject };
