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
   * Exactly-once: whether one call gets the whole claim, as lists of payloads and notifications.
   * Not with `concurrency`.
   *
   * @defaultValue `false`
   */
  batch: optional(v.boolean(), false),
  /**
   * Exactly-once: overrides properties of the channel's `retry`.
   *
   * @defaultValue the channel's
   */
  retry: optional(retryOverride),
  /**
   * Exactly-once: overrides the channel's `timeoutMs`.
   *
   * @defaultValue the channel's
   * @remarks A `batch` is one call. `false`: no limit.
   */
  timeoutMs: optional(timeLimit(1)),
};

export const LISTENER_OPTIONS = {
  /**
   * Stable identity in stored notifications and log lines.
   *
   * @defaultValue `Class.method`
   */
  name: optional(nonEmptyString),
  /**
   * Number of notifications handled at once (1: in order). Exactly-once: those of one claim, in its
   * transaction. Not with `batch`.
   *
   * @defaultValue `1`
   * @remarks Locks do not keep the handlers of one claim apart.
   */
  concurrency: optional(wholeNumber(1), 1),
  /**
   * Only notifications whose context contains this object. Stored ones are left to other processes.
   *
   * @defaultValue none
   */
  filter: optional(group(FILTER_OPTIONS)),
  ...EXACTLY_ONCE_LISTENER_OPTIONS,
  /**
   * Channels of entities: operations to handle. One that the trigger does not send is an error.
   *
   * @defaultValue all of them
   */
  on: optional(operations),
  /**
   * Name of the instance that listens.
   *
   * @defaultValue the default one
   * @remarks For applications with several databases.
   */
  instance: optional(nonEmptyString),
};

/** Options of {@link Listener}, and of {@link OnInsert} and the like; all are optional. */
export interface ListenerOptions extends GivenOptions<typeof LISTENER_OPTIONS> {}

export const GAP_OPTIONS = {
  /**
   * Name of the instance whose gaps are reported.
   *
   * @defaultValue the default one
   * @remarks For applications with several databases.
   */
  instance: optional(nonEmptyString),
};

/** Options of {@link OnGap}. */
export interface GapHandlerOptions extends GivenOptions<typeof GAP_OPTIONS> {}

/** Former names of options, with the current ones. */
export const RENAMED_OPTIONS = { pubsub: 'instance' } as const;
