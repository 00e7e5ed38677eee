import * as v from 'valibot';
import { retryOverrideShape } from '../common/options.resolver.js';
import type { RetryOptions } from '../common/options.js';
import { callback, milliseconds, parseShape, group, timeLimit } from '../common/parse.js';
import type { JsonValue } from '../common/json.js';
import { PgPubSubError } from '../common/errors.js';
import { assertChannelName } from './channel-name.js';
import type { StandardSchema } from './standard-schema.js';

/** Every {@link Delivery}. */
export const DELIVERIES = ['broadcast', 'exactly-once'] as const;

/** `broadcast`: every process that listens now. `exactly-once`: stored, and handled by one process. */
export type Delivery = (typeof DELIVERIES)[number];

/**
 * How a payload becomes JSON and comes back, for types that JSON does not have (Map, Set, Date, bigint):
 * `{ encode: superjson.serialize, decode: superjson.deserialize }`.
 */
export interface PayloadCodec<T> {
  /** The JSON value that stands for the payload. What it throws, `notify()` rejects with as the cause of `INVALID_PAYLOAD`. */
  encode(this: void, payload: T): unknown;
  /** The payload that a JSON value stands for; what anybody may have sent. */
  decode(this: void, json: never): T;
}

/** Options of {@link defineChannel}; all are optional. */
export interface ChannelOptions<T = unknown> {
  /**
   * Who gets a notification, and what it survives.
   *
   * @defaultValue `'broadcast'`
   */
  delivery?: Delivery;
  /** Checks payloads when they are sent, and again (with its transformations applied) before anyone receives them. */
  schema?: StandardSchema<T>;
  /** For what JSON cannot say. */
  codec?: PayloadCodec<T>;
  /**
   * Exactly-once: notifications with the same key are handled one after the other, in order.
   *
   * @defaultValue `false`
   */
  ordered?: boolean;
  /** Exactly-once: overrides the module's `retry`. */
  retry?: Partial<RetryOptions>;
  /** Exactly-once: overrides the module's `timeoutMs`; `false` for no limit. */
  timeoutMs?: number | false;
  /**
   * Exactly-once: `'notify'` wakes the listening processes in the writing transaction; `'poll'` keeps NOTIFY, and
   * the lock it takes at commit, out of the write path.
   *
   * @defaultValue `'notify'`
   */
  wake?: 'notify' | 'poll';
  /** Exactly-once with `wake: 'poll'`: how often to look, in milliseconds. Without it the module's `poll.deafIntervalMs`. */
  pollIntervalMs?: number;
}

/** A {@link PayloadCodec} of whatever payload. */
interface CheckedCodec {
  encode(payload: unknown): unknown;
  decode(json: JsonValue | undefined): unknown;
}

/** {@link ChannelOptions}, with their defaults. */
export interface CheckedChannelOptions {
  readonly delivery: Delivery;
  readonly schema?: StandardSchema | undefined;
  readonly codec?: CheckedCodec | undefined;
  readonly ordered: boolean;
  readonly retry?: Partial<RetryOptions> | undefined;
  readonly timeoutMs?: number | false | undefined;
  readonly wake: 'notify' | 'poll';
  readonly pollIntervalMs?: number | undefined;
}

/**
 * A channel: its name, the type of its payload and how it is delivered. Created by {@link defineChannel}, shared
 * by whoever sends and whoever listens, immutable.
 */
export class ChannelDefinition<T = unknown> {
  /** Carries the payload's type only; there is no such property at run time. */
  declare readonly payload?: T;
  /** This and the rest as given to {@link defineChannel}, or its default. */
  readonly delivery: Delivery;
  readonly schema: StandardSchema | undefined;
  readonly codec: CheckedCodec | undefined;
  readonly ordered: boolean;
  readonly retry: Partial<RetryOptions> | undefined;
  readonly timeoutMs: number | false | undefined;
  readonly wake: 'notify' | 'poll';
  readonly pollIntervalMs: number | undefined;

  /** @internal Both checked already: applications call {@link defineChannel}. */
  constructor(
    readonly name: string,
    options: CheckedChannelOptions,
  ) {
    this.delivery = options.delivery;
    this.schema = options.schema;
    this.codec = options.codec;
    this.ordered = options.ordered;
    this.retry = options.retry;
    this.timeoutMs = options.timeoutMs;
    this.wake = options.wake;
    this.pollIntervalMs = options.pollIntervalMs;
    Object.freeze(this);
  }
}

const optionsShape = group({
  delivery: v.optional(v.picklist(DELIVERIES), 'broadcast'),
  schema: v.optional(
    v.custom<StandardSchema>(
      (value) => isStandardSchema(value),
      'a Standard Schema (zod, valibot, arktype, …)',
    ),
  ),
  codec: v.optional(
    group({
      encode: callback<(payload: unknown) => unknown>(),
      decode: callback<(json: JsonValue | undefined) => unknown>(),
    }),
  ),
  ordered: v.optional(v.boolean(), false),
  retry: v.optional(retryOverrideShape),
  timeoutMs: v.optional(timeLimit(1)),
  wake: v.optional(v.picklist(['notify', 'poll']), 'notify'),
  pollIntervalMs: v.optional(milliseconds(1)),
});

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

/**
 * Defines a channel by name, payload type and delivery, once, for senders and listeners alike:
 *
 * ```ts
 * export const Orders = defineChannel<Order>('orders', { schema: OrderSchema });
 * ```
 *
 * Throws `INVALID_CHANNEL` for a name that is not 1 to 63 bytes long and for unknown or invalid options.
 */
export function defineChannel<T>(name: string, options: ChannelOptions<T> = {}): ChannelDefinition<T> {
  assertChannelName(name);
  const checked = { code: 'INVALID_CHANNEL', what: `the channel "${name}"` } as const;
  const parsed = parseShape(optionsShape, options, checked);
  if (parsed.pollIntervalMs !== undefined && parsed.wake !== 'poll') throw neverPolled(name);
  return new ChannelDefinition<T>(name, parsed);
}

const neverPolled = (name: string) =>
  new PgPubSubError(
    'INVALID_CHANNEL',
    `expected "pollIntervalMs" of the channel "${name}" together with wake: 'poll', got it without. ` +
      'Add that; channels that are woken by NOTIFY look by themselves as the module\'s option "poll" says.',
  );

const PLAIN = v.parse(optionsShape, {});

/** What a name stands for that nobody has defined: a broadcast channel of any JSON. */
export const plainChannel = (name: string): ChannelDefinition => new ChannelDefinition(name, PLAIN);
