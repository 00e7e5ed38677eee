import * as v from 'valibot';
import type { ChannelLike } from '../channels/channel.registry.js';
import { PgPubSubError, describeValue } from '../common/errors.js';
import { anyObject, group, nonEmptyString, parseShape } from '../common/parse.js';

/** Selects stored notifications or dead letters that match all given members; `{}` selects all. */
export interface StoredFilter {
  /** The channel, or one of several. */
  channel?: ChannelLike | readonly ChannelLike[];
  /**
   * The listener that has given up (dead letters) or not yet handled it (pending notifications).
   */
  listener?: string;
  /** The id of the notification, or one of several. */
  id?: string | readonly string[];
  /** The time before which it was stored. */
  before?: Date;
  /**
   * The name of a migration, as in the migrations table: selects what was stored before it ran, or
   * everything if it has not run.
   */
  beforeMigration?: string;
  /** Members that the context contains. */
  context?: Record<string, unknown>;
}

/** A filter with the names of its channels, and the migrations executed before the one it names. */
export interface ResolvedFilter extends Omit<StoredFilter, 'channel' | 'id' | 'beforeMigration'> {
  readonly channels?: readonly string[];
  readonly ids?: readonly string[];
  /** Selects what was stored under one of these migrations, or under none. */
  readonly versions?: readonly string[];
}

const MAX_ID = '9223372036854775807';

/** Whether the text is a bigint. Others fail on the server and abort the caller's transaction. */
export const isId = (text: string): boolean =>
  /^\d{1,19}$/.test(text) && text.padStart(MAX_ID.length, '0') <= MAX_ID;

const id = v.pipe(
  v.string('an id: a string of digits'),
  v.check(isId, `an id: a string of digits, at most ${MAX_ID}`),
);

const filterShape = group({
  channel: v.optional(v.unknown()),
  listener: v.optional(nonEmptyString),
  id: v.optional(v.union([id, v.array(id)], 'an id (a string of digits), or a list of them')),
  before: v.optional(v.pipe(v.date('a valid Date'))),
  beforeMigration: v.optional(nonEmptyString),
  context: v.optional(anyObject),
});

/** Throws `INVALID_ARGUMENT` for unknown members: a misspelt condition would select everything. */
export function resolveFilter(
  filter: StoredFilter,
  method: string,
  nameOf: (channel: ChannelLike) => string,
): Omit<ResolvedFilter, 'versions'> {
  const {
    channel,
    id: ids,
    beforeMigration: _,
    ...rest
  } = parseShape(filterShape, filter, {
    code: 'INVALID_ARGUMENT',
    what: `stored.${method}()`,
  });
  const channels =
    channel === undefined ? undefined : ((Array.isArray(channel) ? channel : [channel]) as ChannelLike[]); // nameOf() checks them
  return Object.fromEntries(
    Object.entries({
      ...rest,
      channels: channels?.map(nameOf),
      ids: typeof ids === 'string' ? [ids] : ids,
    }).filter(([, value]) => value !== undefined),
  );
}

/** Throws `INVALID_ARGUMENT` without a filter: changing everything requires `{}`. */
export function assertFilter(filter: unknown, method: string): asserts filter is StoredFilter {
  if (typeof filter === 'object' && filter !== null && !Array.isArray(filter)) return;
  throw new PgPubSubError(
    'INVALID_ARGUMENT',
    `expected stored.${method}() to get a filter, got ${describeValue(filter)}. Pass one, such as { channel }; {} selects all.`,
  );
}

export interface Conditions {
  readonly sql: string;
  readonly parameters: readonly unknown[];
}

/** Returns the conditions on a row `n`; `first` is the number of their first parameter. */
export function conditionsOf(
  { channels, ids, before, versions, context }: ResolvedFilter,
  more: Conditions,
  first: number,
): Conditions {
  const parameters: unknown[] = [...more.parameters];
  const parts: string[] = more.sql === '' ? [] : [more.sql];
  const add = (value: unknown, sql: (parameter: string) => string) => {
    if (value === undefined) return;
    parameters.push(value);
    parts.push(sql(`$${first + parameters.length - 1}`));
  };
  add(channels, (p) => `n.channel = any(${p}::text[])`);
  add(ids, (p) => `n.id = any(${p}::bigint[])`);
  add(before?.toISOString(), (p) => `n.created_at < ${p}::timestamptz`);
  add(versions, (p) => `(n.schema_version is null or n.schema_version = any(${p}::text[]))`);
  add(context && JSON.stringify(context), (p) => `coalesce(n.context, '{}') @> ${p}::jsonb`);
  return { sql: parts.length === 0 ? 'true' : parts.join(' and '), parameters };
}
