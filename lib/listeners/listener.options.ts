import * as v from 'valibot';
import { operations } from '../channels/channel.options.js';
import { FILTER_OPTIONS, retryOverride } from '../common/option-groups.js';
import {
  group,
  nonEmptyString,
  optional,
  timeLimit,
  wholeNumber,
  type GivenOptions,
} from '../common/parse.js';

/** Options that have an effect for exactly-once channels only. */
export const EXACTLY_ONCE_LISTENER_OPTIONS = {
  /**
   * Exactly-once: whether the listener gets the whole claim in one call, as lists of payloads and notifications. Not together with
   * `concurrency`.
   *
   * @defaultValue `false`
   */
  batch: optional(v.boolean(), false),
  /**
   * Exactly-once: overrides the channel's `retry`, property by property.
   *
   * @defaultValue the channel's
   */
  retry: optional(retryOverride),
  /**
   * Exactly-once: how long one call may run, in milliseconds; a `batch` is one call. `false`: no limit.
   *
   * @defaultValue the channel's
   */
  timeoutMs: optional(timeLimit(1)),
};

export const LISTENER_OPTIONS = {
  /**
   * Stable identity of this listener: stored notifications remember it, and log lines name it.
   *
   * @defaultValue `Class.method`
   */
  name: optional(nonEmptyString),
  /**
   * The number of notifications that this listener handles at once; 1: one after the other, in order. Broadcasts: of all that arrive.
   * Exactly-once: of one claim, in its transaction, where locks do not keep them apart. Not together with `batch`.
   *
   * @defaultValue `1`
   */
  concurrency: optional(wholeNumber(1), 1),
  /**
   * Only notifications whose context contains this object. Others are left: stored ones to other processes.
   *
   * @defaultValue none
   */
  filter: optional(group(FILTER_OPTIONS)),
  ...EXACTLY_ONCE_LISTENER_OPTIONS,
  /**
   * Channels of entities: the operations that are handled. An operation that the trigger does not send is an error.
   *
   * @defaultValue all of them
   */
  on: optional(operations),
  /**
   * Name of the instance that listens, for applications with several databases.
   *
   * @defaultValue the default one
   */
  instance: optional(nonEmptyString),
};

/** Options of {@link Listener}, and of {@link OnInsert} and the like; all are optional. */
export interface ListenerOptions extends GivenOptions<typeof LISTENER_OPTIONS> {}

export const GAP_OPTIONS = {
  /**
   * Name of the instance whose gaps are meant, for applications with several databases.
   *
   * @defaultValue the default one
   */
  instance: optional(nonEmptyString),
};

/** Options of {@link OnGap}. */
export interface GapHandlerOptions extends GivenOptions<typeof GAP_OPTIONS> {}

/** Options that had another name before. */
export const RENAMED_OPTIONS = { pubsub: 'instance' } as const;
