import { types } from 'node:util';
import type { ChannelDefinition } from '../channels/channel.definition.js';
import { PgPubSubError, describeValue } from '../common/errors.js';
import { isJsonObject } from '../common/json.js';
import type { SqlExecutor } from '../common/sql-executor.js';

/** Options of `pubsub.notify()` and `notifyMany()`. */
export interface NotifyOptions {
  /**
   * The transaction to join; the notification is sent if and only if it commits. Takes anything
   * with a method `query`: EntityManager, QueryRunner, Repository, DataSource. Without it, the
   * module's `executor` is used, else the DataSource's manager.
   */
  manager?: SqlExecutor | undefined;
  /** Exactly-once, on `ordered` channels: equal keys are handled in order. At most 1,000 bytes. */
  key?: string | undefined;
  /** Exactly-once: the earliest time at which it is handled; by default at once. */
  availableAt?: Date | undefined;
  /** Exactly-once, instead of `availableAt`: the delay in milliseconds, by the server's clock. */
  delayMs?: number | undefined;
  /** Data sent beside the payload, merged over the module's `context`. */
  context?: object | undefined;
}

/** Throws `INVALID_ARGUMENT` for options that are unknown, invalid, or do not fit the channel. */
export function assertNotifyOptions(channel: ChannelDefinition, options: NotifyOptions): void {
  assertKnown(options);
  if (channel.delivery === 'exactly-once') assertStored(channel, options);
  else assertBroadcast(channel, options);
}

const NOTIFY_OPTIONS = new Set(['manager', 'key', 'availableAt', 'delayMs', 'context']);

/** Throws `INVALID_ARGUMENT` unless the options are a plain object; a manager alone is none. */
export function assertOptions(options: unknown, what: string): void {
  if (isJsonObject(options) && !isBuiltIn(options) && !('query' in options)) return;
  throw new PgPubSubError(
    'INVALID_ARGUMENT',
    `expected the options of ${what} to be an object, got ${describeValue(options)}. ` +
      'Leave them out, or name them; a transaction is given as { manager }.',
  );
}

/** Whether the value is a built-in object without own properties: it would pass as no options. */
const isBuiltIn = (value: object): boolean =>
  types.isPromise(value) || types.isMap(value) || types.isSet(value) || types.isDate(value);

/** Rejects unknown options: a misspelt `manager` would send outside of the transaction. */
function assertKnown(options: NotifyOptions): void {
  assertOptions(options, 'notify() and notifyMany()');
  const unknown = Object.keys(options).find((option) => !NOTIFY_OPTIONS.has(option));
  if (unknown === undefined) return;
  throw new PgPubSubError(
    'INVALID_ARGUMENT',
    `expected only known options for notify() (${[...NOTIFY_OPTIONS].join(', ')}), got "${unknown}". ` +
      'Correct its name; a transaction is given as { manager }.',
  );
}

const EXACTLY_ONCE_OPTIONS = ['key', 'availableAt', 'delayMs'] as const;

function assertBroadcast(channel: ChannelDefinition, options: NotifyOptions): void {
  const surplus = EXACTLY_ONCE_OPTIONS.find((option) => options[option] !== undefined);
  if (surplus === undefined) return;
  throw new PgPubSubError(
    'INVALID_ARGUMENT',
    `expected "${surplus}" for an exactly-once channel only, got it for the broadcast channel "${channel.name}". Leave it out.`,
  );
}

function assertStored(channel: ChannelDefinition, { key, availableAt, delayMs }: NotifyOptions): void {
  const what = `for the channel "${channel.name}"`;
  if (key !== undefined && typeof key !== 'string') throw invalidOption(`"key" ${what} to be a string`, key);
  if (typeof key === 'string' && (key.includes('\0') || Buffer.byteLength(key) > MAX_KEY_BYTES))
    throw invalidOption(`"key" ${what} to be at most ${MAX_KEY_BYTES} bytes without NUL characters`, key);
  if (availableAt !== undefined && !(availableAt instanceof Date && isTimestamp(availableAt)))
    throw invalidOption(`"availableAt" ${what} to be a valid Date of the years 1 to 9999`, availableAt);
  if (delayMs !== undefined && !(typeof delayMs === 'number' && delayMs >= 0 && delayMs <= MAX_DELAY_MS))
    throw invalidOption(
      `"delayMs" ${what} to be a number of milliseconds from 0 to ${MAX_DELAY_MS}`,
      delayMs,
    );
  if (availableAt !== undefined && delayMs !== undefined)
    throw invalidOption(`"availableAt" or "delayMs" ${what}`, 'both');
}

/** Keys are indexed, and an index entry has room for little more. */
const MAX_KEY_BYTES = 1_000;
/** One hundred years. */
const MAX_DELAY_MS = 3_155_760_000_000;

/**
 * Whether PostgreSQL reads the year as `toISOString()` writes it: there is no year 0, and years
 * outside of 0 to 9999 have a sign and six digits.
 */
const isTimestamp = (date: Date): boolean =>
  !Number.isNaN(date.getTime()) && date.getUTCFullYear() >= 1 && date.getUTCFullYear() <= 9999;

const invalidOption = (expected: string, got: unknown) =>
  new PgPubSubError(
    'INVALID_ARGUMENT',
    `expected ${expected}, got ${describeValue(got)}. Correct it, or leave it out.`,
  );
