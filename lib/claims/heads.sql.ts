import { quoteLiteral } from '../common/sql-identifier.js';

/** The part of a claim of an ordered channel that is the same for all claims of a process. */
export interface HeadsScope {
  /** The table of stored notifications, quoted. */
  readonly table: string;
  /** The unquoted name of the channel. */
  readonly channel: string;
  /** The columns of a row `n` to return, among them `n.id` under this name. */
  readonly columns: string;
  /** Further conditions on a row `n`: the listeners and filters of this process. */
  readonly conditions: readonly string[];
}

/**
 * The position after which the next claim continues: a key (`null`: the start), or, for rows
 * without a key, a position in the order of time. `availableAt` is any text that PostgreSQL reads
 * as a timestamp.
 */
export type HeadsCursor =
  { readonly key: string | null } | { readonly availableAt: string; readonly id: string };

/** The rows in which a claim searches for heads: see `claimOldestHeads()` and `claimHeads()`. */
export type HeadsFrom = 'oldest' | 'window' | HeadsCursor;

export const FIRST_KEY: HeadsCursor = { key: null };
export const FIRST_UNKEYED: HeadsCursor = { availableAt: '-infinity', id: '0' };

/**
 * Planner methods to turn off for the statements of this file. The table has no usable statistics
 * when it is empty at one moment and full at the next. The statements leave the planner no choice
 * of a join.
 */
export const HEADS_PLANNER_SETTINGS = ['enable_seqscan', 'enable_bitmapscan', 'enable_sort'] as const;

/** The number of due rows that a claim by time tests for heads: per wanted row, and the minimum. */
const ROWS_PER_HEAD = 4;
const MIN_ROWS = 200;
/** The number of keys that a claim by key visits (about 10 µs each). */
const MAX_KEYS = 500;
/** The number of due rows that a claim of rows without a key reads (about 0.5 µs each). */
const MAX_UNKEYED_ROWS = 5_000;

/**
 * Locks up to `size` heads of an ordered channel until the transaction ends, skipping those that
 * another transaction has locked. A head is a due row without a key, or the oldest row (by id) of
 * its key if that is due. A row whose key has an older row is never locked, for whatever reason
 * that row is blocked.
 *
 * The cost does not depend on the number of rows after a blocked head:
 *
 * - Without a cursor, the statement reads the first rows of the channel in the order of time, and
 *   tests each for being a head: a multiple of `size`, or fewer if it finds `size` heads earlier.
 * - With the cursor of a key, it skips along the keys after it, one index probe each.
 * - With a cursor of time, it reads a batch of the due rows after it, for those without a key.
 *
 * Each row has three columns after `columns`:
 *
 * 1. The number of the lock of its key; null without a key.
 * 2. Whether this transaction got that advisory lock, which ends with the transaction. False if
 *    another transaction handles the key: its row committed late, and is older than the one being
 *    handled.
 * 3. The cursor (JSON) with which to continue, in the last row that the statement read; null in
 *    others. This row is returned in addition to the locked ones, with `id` null, unless it is one
 *    of them. Without a cursor in the result and with fewer than `size` rows, nothing is left after
 *    the given position.
 */
export function claimHeads(scope: HeadsScope, size: number, cursor?: HeadsCursor): string {
  if (cursor === undefined) {
    const limit = Math.max(MIN_ROWS, ROWS_PER_HEAD * size);
    return lockHeads(scope, size, {
      rows: rowsByTime(scope, limit, { isHead: isHead(scope) }),
      limit,
      end: `${quoteLiteral(JSON.stringify(FIRST_KEY))}::json`,
    });
  }
  if ('key' in cursor)
    return `${keysAfter(scope, cursor.key)} ${lockHeads(scope, size, {
      rows: 'select ctid, key, nth, true as is_head from keys',
      limit: MAX_KEYS,
      end: "pg_catalog.json_build_object('key', seen.key)",
    })}`;
  return lockHeads(scope, size, {
    rows: rowsByTime(scope, MAX_UNKEYED_ROWS, { isHead: 'n.key is null', cursor }),
    limit: MAX_UNKEYED_ROWS,
    end: "pg_catalog.json_build_object('availableAt', seen.available_at, 'id', seen.id::text)",
  });
}

/**
 * Locks up to `size` heads in the order of time, independent of the number of other rows before
 * them: the cheapest statement while nearly all due rows are heads. Returns the columns of
 * `claimHeads()`; the last is always null.
 */
export const claimOldestHeads = (scope: HeadsScope, size: number): string =>
  lockMatching(scope, ofChannel(scope), `order by n.available_at, n.id limit ${size}`);

/**
 * Locks the row of the channel with this id, if it is a head. Returns the columns of
 * `claimHeads()`; the last is always null. Has neither an order nor a condition on the channel:
 * with them the planner may read the whole channel (4 to 10 ms for 100,000 rows) instead of the
 * primary key.
 */
export const claimHeadOf = (scope: HeadsScope, id: string): string => lockMatching(scope, `n.id = ${id}`, '');

const lockMatching = (scope: HeadsScope, which: string, order: string): string => `
  select claimed.*, ${LOCK_KEY}, null
  from (
    select ${scope.columns}, ${keyLock(scope)} from ${scope.table} as n
    where ${[which, isDue, ...scope.conditions, isHead(scope)].join(' and ')}
    ${order} for update skip locked
  ) as claimed
`;

interface SeenRows {
  /** A query for `ctid`, `nth` (from 1), `is_head` and the columns of `end`, in locking order. */
  readonly rows: string;
  /** The maximum `nth`. */
  readonly limit: number;
  /** The cursor after a row `seen`. */
  readonly end: string;
}

/**
 * Locks each head as it comes, until there are `size`. The join is lateral with a locking query
 * inside, so that PostgreSQL reads no more rows than needed and locks none that it does not return.
 * The conditions are repeated inside: PostgreSQL checks them again when another transaction has
 * changed the row since the statement began. (Newer releases skip such a row, because its `ctid` is
 * another: its change is followed by a claim of its own.) The row is found by `ctid`, because an
 * index scan by id may use the wrong index while the table has no usable statistics.
 */
const lockHeads = (scope: HeadsScope, size: number, { rows, limit, end }: SeenRows): string => `
  select claimed.*, ${LOCK_KEY}, case when seen.nth = ${limit} then ${end} end
  from (${rows}) as seen
  left join lateral (
    select ${scope.columns}, ${keyLock(scope)} from ${scope.table} as n
    where seen.is_head and n.ctid = seen.ctid and ${[isDue, ...scope.conditions].join(' and ')}
    for update skip locked
  ) as claimed on true
  where (seen.is_head or seen.nth = ${limit}) and (claimed.id is not null or seen.nth = ${limit})
  limit ${size}
`;

/** Uses the index `(channel, available_at, id)`. */
function rowsByTime(
  scope: HeadsScope,
  limit: number,
  { isHead, cursor }: { isHead: string; cursor?: { readonly availableAt: string; readonly id: string } },
): string {
  const after =
    cursor === undefined
      ? []
      : [`(n.available_at, n.id) > (${quoteLiteral(cursor.availableAt)}::timestamptz, ${cursor.id})`];
  return `
    select n.ctid, n.id, n.available_at, ${isHead} as is_head, row_number() over (order by n.available_at, n.id) as nth
    from ${scope.table} as n
    where ${[ofChannel(scope), isDue, ...after, ...scope.conditions].join(' and ')}
    order by n.available_at, n.id limit ${limit}
  `;
}

/** Selects each key's oldest row. Uses the index `(channel, key, id) where key is not null`. */
function keysAfter(scope: HeadsScope, key: string | null): string {
  const first = key === null ? 'n.key is not null' : `n.key > ${quoteLiteral(key)}`;
  return `
    with recursive keys as (
      (
        select n.ctid, n.key, 1 as nth from ${scope.table} as n
        where ${ofChannel(scope)} and ${first} order by n.key, n.id limit 1
      )
      union all
      select next.ctid, next.key, keys.nth + 1
      from keys cross join lateral (
        select n.ctid, n.key from ${scope.table} as n
        where ${ofChannel(scope)} and n.key > keys.key order by n.key, n.id limit 1
      ) as next
      where keys.nth < ${MAX_KEYS}
    )
  `;
}

const ofChannel = ({ channel }: HeadsScope): string => `n.channel = ${quoteLiteral(channel)}`;

/** Stable: a condition with `clock_timestamp()` could not use the index. */
const isDue = 'n.available_at <= statement_timestamp()';

/** Uses the index `(channel, key, id) where key is not null`. */
const isHead = ({ table, channel }: HeadsScope): string => `(n.key is null or not exists (
  select from ${table} as e where e.channel = ${quoteLiteral(channel)} and e.key = n.key and e.id < n.id
))`;

/** Selects the hash of the key: a key can be large. */
const keyLock = ({ channel }: HeadsScope): string =>
  `hashtextextended(${quoteLiteral(`pgpubsub ${channel} `)} || n.key, 0::bigint) as key_lock`;

/** Locks the key after the row. */
const LOCK_KEY = 'claimed.key_lock is null or pg_try_advisory_xact_lock(claimed.key_lock)';
