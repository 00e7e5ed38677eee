import * as v from 'valibot';
import type { JsonValue } from '../common/json.js';
import { deadLettersOverride, retryOverride } from '../common/option-groups.js';
import {
  callback,
  findChanged,
  group,
  milliseconds,
  optional,
  timeLimit,
  valueOf,
  type CheckedOptions,
  type GivenOptions,
} from '../common/parse.js';
import { OPERATIONS, type Operation } from './entity-change.js';
import type { StandardSchema } from './standard-schema.js';

/** Every {@link Delivery}. */
export const DELIVERIES = ['broadcast', 'exactly-once'] as const;

/** `broadcast`: to all processes that listen now. `exactly-once`: stored, for one process. */
export type Delivery = (typeof DELIVERIES)[number];

const operation = v.picklist(OPERATIONS, `operations (${OPERATIONS.join(', ')})`);
const operationList = v.pipe(v.array(operation), v.minLength(1, 'at least one operation'));

/** Operations on a table. A union's error would not name the wrong one. */
export const operations: v.GenericSchema<Operation | readonly Operation[]> = v.pipe(
  v.lazy<typeof operationList | typeof operation>((input) =>
    Array.isArray(input) ? operationList : operation,
  ),
  v.description(`${OPERATIONS.map((one) => `'${one}'`).join(', ')}, or a list`),
);

/** Options that have an effect for exactly-once channels only. */
export const EXACTLY_ONCE_OPTIONS = {
  /**
   * Exactly-once: whether notifications with the same key are handled one by one, in order. The key
   * of a table change is its primary key.
   *
   * @defaultValue `false`
   */
  ordered: optional(v.boolean(), false),
  /**
   * Exactly-once: overrides properties of the module's `retry`.
   *
   * @defaultValue the module's
   */
  retry: optional(retryOverride),
  /**
   * Exactly-once: overrides the module's `timeoutMs`.
   *
   * @defaultValue the module's
   * @remarks The time limit for one call of a handler. `false`: no limit.
   */
  timeoutMs: optional(timeLimit(1)),
  /**
   * Exactly-once: how processes learn of notifications. `'poll'` keeps NOTIFY and its commit lock
   * out of the writing transaction.
   *
   * @defaultValue `'notify'`
   * @remarks `'notify'`: by a NOTIFY in the writing transaction. `'poll'`: processes poll every
   * `pollIntervalMs`.
   */
  wake: optional(v.picklist(['notify', 'poll']), 'notify'),
  /**
   * Exactly-once: polling interval with `wake: 'poll'`.
   *
   * @defaultValue the module's `poll.deafIntervalMs`
   */
  pollIntervalMs: optional(milliseconds(1)),
  /**
   * Exactly-once: overrides the module's `deadLetters`.
   *
   * @defaultValue the module's
   */
  deadLetters: optional(deadLettersOverride),
};

/** The options of a channel that definitions and `@NotifyChanges()` share. */
export const DELIVERY_OPTIONS = {
  /**
   * Which processes receive a notification, and whether it is stored; see docs/guarantees.md.
   *
   * @defaultValue `'broadcast'`
   */
  delivery: optional(v.picklist(DELIVERIES), 'broadcast'),
  ...EXACTLY_ONCE_OPTIONS,
};

const CODEC_INPUT = {
  /**
   * Argument of `decode`: the parsed JSON value, or its text, in which numbers keep all digits.
   *
   * @defaultValue `'json'`
   */
  input: optional(v.picklist(['json', 'text']), 'json'),
};

/**
 * Converts payloads to JSON and back, for types that JSON lacks (Map, Set, Date, bigint):
 * `{ encode: superjson.serialize, decode: superjson.deserialize }`.
 */
export interface PayloadCodec<T> extends GivenOptions<typeof CODEC_INPUT> {
  /** Returns a payload's JSON value. If it throws, `notify()` rejects with `INVALID_PAYLOAD`. */
  encode(this: void, payload: T): unknown;
  /**
   * Returns the payload of a JSON value, or of its text (see `input`). Any role that can connect
   * may have sent it.
   */
  decode(this: void, json: never): T;
}

interface AnyCodec {
  encode(payload: unknown): unknown;
  decode(json: JsonValue | undefined): unknown;
}

export const CODEC_OPTIONS = {
  /** Returns the JSON value of a payload that JSON lacks (Map, Set, Date, bigint). */
  encode: callback<AnyCodec['encode']>(),
  /** Returns the payload of a JSON value, or of its text. */
  decode: callback<AnyCodec['decode']>(),
  ...CODEC_INPUT,
};

export const CHANNEL_OPTIONS = {
  ...DELIVERY_OPTIONS,
  /**
   * Checks payloads when they are sent, and again, with its transformations, when they are
   * received.
   *
   * @defaultValue none
   */
  schema: optional(
    valueOf<StandardSchema>(
      (value) => isStandardSchema(value),
      'a Standard Schema (zod, valibot, arktype, …)',
    ),
  ),
  /**
   * How payloads become JSON and come back, for types that JSON does not have.
   *
   * @defaultValue none
   */
  codec: optional(group(CODEC_OPTIONS)),
};

/** Options of {@link defineChannel}; all are optional. */
export interface ChannelOptions<T = unknown> extends Omit<
  GivenOptions<typeof CHANNEL_OPTIONS>,
  'schema' | 'codec' // their type depends on the payload's
> {
  schema?: StandardSchema<T>;
  codec?: PayloadCodec<T>;
}

function isStandardSchema(value: unknown): boolean {
  // arktype's schemas are functions
  if ((typeof value !== 'object' && typeof value !== 'function') || value === null || !('~standard' in value))
    return false;
  const standard = value['~standard'];
  return (
    typeof standard === 'object' &&
    standard !== null &&
    'validate' in standard &&
    typeof standard.validate === 'function'
  );
}

/** A rule that options break together, and its remedy. */
interface Contradiction {
  readonly expected: string;
  readonly got: string;
  readonly remedy: string;
}

/** Checked options of a channel; a migration's trigger has fewer. */
export type ChannelSettings = Partial<CheckedOptions<typeof DELIVERY_OPTIONS>>;

/** Returns the first option that has no effect beside the others. */
export function findContradiction(options: ChannelSettings): Contradiction | undefined {
  if (options.pollIntervalMs !== undefined && options.wake !== 'poll')
    return {
      expected: '"pollIntervalMs" only together with wake: \'poll\'',
      got: 'it alone',
      remedy:
        'Add wake: \'poll\', or remove "pollIntervalMs"; hints and the module\'s option "poll" apply then.',
    };
  const surplus = findChanged(EXACTLY_ONCE_OPTIONS, options);
  if (options.delivery === 'exactly-once' || surplus === undefined) return undefined;
  return {
    expected: `"${surplus}" for exactly-once channels only`,
    got: `it for ${options.delivery}`,
    remedy: `Add delivery: 'exactly-once', or remove "${surplus}".`,
  };
}
