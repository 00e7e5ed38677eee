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

/** A group of options with these members; named, because types that are declared in place lose their comments. */
type GroupOf<Members> = v.GenericSchema<Partial<Members>, Members>;

export const HEARTBEAT_OPTIONS = {
  /**
   * How often the LISTEN connection proves that it is alive, in milliseconds; also how often a deaf connection tries whether it
   * hears again. Bounds how long a link that died silently (a firewall that forgot it, a host that vanished) goes unnoticed.
   *
   * @defaultValue `10_000`
   */
  intervalMs: optional(milliseconds(1), 10_000),
  /**
   * How long the server may take to answer, in milliseconds, before the connection is closed and another one is opened. Also
   * limits the LISTEN statements, the self-test and `pubsub.status()`.
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
   * The longest pause before the second attempt to reopen the LISTEN connection, in milliseconds. Pauses double with each
   * attempt, and each is random up to its bound ("full jitter").
   *
   * @defaultValue `100`
   */
  minDelayMs: optional(milliseconds(1), 100),
  /**
   * The longest pause between two attempts, in milliseconds, from `minDelayMs` on. Lower it to be back sooner after a failover;
   * raise it where many processes share one small database. Attempts never stop.
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
   * How often exactly-once channels look for work while hints arrive, in milliseconds.
   *
   * @defaultValue `30_000`
   */
  intervalMs: optional(milliseconds(1), 30_000),
  /**
   * How often they look while no hint can arrive (the LISTEN connection is lost, or deaf), in milliseconds. Also the interval of
   * channels with `wake: 'poll'` that have no `pollIntervalMs`.
   *
   * @defaultValue `1_000`
   */
  deafIntervalMs: optional(milliseconds(1), 1_000),
};

/** How often exactly-once channels look for work without a hint: the option `poll`. */
export interface PollOptions extends CheckedOptions<typeof POLL_OPTIONS> {}

export const poll: GroupOf<PollOptions> = group(POLL_OPTIONS);

export const BATCH_OPTIONS = {
  /**
   * The largest number of stored notifications in one claim. Larger claims commit less often: more throughput, and more to
   * repeat after a crash.
   *
   * @defaultValue `100`
   */
  maxSize: optional(wholeNumber(1), 100),
  /**
   * The time after which a claim commits, in milliseconds; the handler that runs then may finish.
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
   * The number of attempts after which a stored notification becomes a dead letter.
   *
   * @defaultValue `10`
   */
  maxAttempts: optional(wholeNumber(1), 10),
  /**
   * The longest pause before the second attempt, in milliseconds. Pauses double, and each is random up to its bound.
   *
   * @defaultValue `1_000`
   */
  minDelayMs: optional(milliseconds(1), 1_000),
  /**
   * The longest pause between two attempts, in milliseconds, from `minDelayMs` on.
   *
   * @defaultValue `3_600_000`
   */
  maxDelayMs: optional(milliseconds(1), 3_600_000),
};

/** How stored notifications are retried: the option `retry` of the module, of a channel or of a listener. */
export interface RetryOptions extends CheckedOptions<typeof RETRY_OPTIONS> {}

export const retry: GroupOf<RetryOptions> = v.pipe(group(RETRY_OPTIONS), pausesGrow());

/** `retry` of a channel or listener, which overrides the module's. */
export const retryOverride: v.GenericSchema<Partial<RetryOptions>> = v.pipe(
  overriding(RETRY_OPTIONS),
  pausesGrow(),
);

export const BUFFER_OPTIONS = {
  /**
   * The number of broadcasts that may wait for one slow listener or iterator. The socket is always read, so that a slow receiver
   * never holds back the server; broadcasts that do not fit are dropped, counted and reported.
   *
   * @defaultValue `10_000`
   */
  maxSize: optional(wholeNumber(1), 10_000),
  /**
   * The broadcast that is dropped when the buffer is full. `'drop-oldest'`: the one that has waited longest (right for signals
   * to look again, where the newest says all). `'drop-newest'`: the one that arrives. `'error'`: the one that arrives, as a
   * failure, and an iterator ends with `BUFFER_OVERFLOW`.
   *
   * @defaultValue `'drop-oldest'`
   */
  overflow: optional(v.picklist(OVERFLOW_POLICIES), 'drop-oldest'),
};

/** How many broadcasts may wait for a slow receiver: the option `buffer`. */
export interface BufferOptions extends CheckedOptions<typeof BUFFER_OPTIONS> {}

export const buffer: GroupOf<BufferOptions> = group(BUFFER_OPTIONS);

export const DEAD_LETTER_OPTIONS = {
  /**
   * The age, in milliseconds, at which dead letters are deleted: the time since they became dead letters, by the server's clock.
   * A process that handles the channel deletes them. `false`: they are kept.
   *
   * @defaultValue `false`
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
