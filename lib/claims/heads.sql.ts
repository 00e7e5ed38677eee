import { quoteLiteral } from '../common/sql-identifier.js';

/** The part of a claim of an ordered channel that stays the same for all claims of a process. */
export interface HeadsScope {
  /** The table of stored notifications, quoted. */
  readonly table: string;
  /** The name of the channel, not quoted. */
  readonly channel: string;
  /** The columns of a row `n` to return, among them `n.id` by this name. */
  readonly columns: string;
  /** Conditions on a row `n` besides its channel and its time: the listeners and filters of this process. */
  readonly conditions: readonly string[];
}

/**
 * Where the next claim continues: behind a key (`null`: at the first key), or, for rows without a key, behind a
 * position in the order of time. `availableAt` is any text that PostgreSQL reads as a timestamp.
 */
export type HeadsCursor =
  { readonly key: string | null } | { readonly availableAt: string; readonly id: string };

/** Where a claim looks for heads: see `claimOldestHeads()` and `claimHeads()`. */
export type HeadsFrom = 'oldest' | 'window' | HeadsCursor;

export const FIRST_KEY: HeadsCursor = { key: null };
export const FIRST_UNKEYED: HeadsCursor = { availableAt: '-infinity', id: '0' };

/**
 * Planner methods to turn off for the statements of this file. The table has no usable statistics when it is empty at
 * one moment and full at the next. The statements leave the planner no choice of a join.
 */
export const HEADS_PLANNER_SETTINGS = ['enable_seqscan', 'enable_bitmapscan', 'enable_sort'] as const;

/** The number of due rows, per wanted row and at least, that a claim in the order of time tests for being a head. */
const ROWS_PER_HEAD = 4;
const MIN_ROWS = 200;
/** The number of keys that a claim by key visits (about 10 µs each). */
const MAX_KEYS = 500;
/** The number of due rows that a claim of rows without a key reads (about 0.5 µs each). */
const MAX_UNKEYED_ROWS = 5_000;

/**
 * Locks up to `size` heads of an ordered channel until the transaction ends, skipping those that another transaction
 * has locked. A head is a due row without a key, or the oldest row (by id) of its key, if that is due. A row whose key
 * has an older row is never locked, whatever holds that row back.
 *
 * The cost does not depend on the number of rows behind a head that is held back:
 *
 * - Without a cursor, the statement reads the first rows of the channel in the order of time, and of each whether it is
 *   a head: a multiple of `size`, fewer when `size` heads come earlier.
 * - With the cursor of a key, it skips along the keys behind it, one index probe each.
 * - With a cursor of time, it reads a portion of the due rows behind it, for those without a key.
 *
 * Each row has three columns more than `columns`. The first is the number of the lock of its key, null without a key. The last but one is false when another transaction handles the key: its
 * row committed late, and is older than the one being handled. The advisory lock behind it ends with the transaction.
 * The last is the cursor (JSON) with which to continue, in the last row that the statement looked at, and null in
 * others. This row comes in addition to those locked, with `id` null, unless it is one of them. Without a cursor in the
 * result and with fewer than `size` rows, nothing is left behind the given position.
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
 * Locks up to `size` heads in the order of time, however many other rows are before them: the cheapest statement while
 * nearly all due rows are heads. Same columns as `claimHeads()`; the last is always null.
 */
export const claimOldestHeads = (scope: HeadsScope, size: number): string =>
  lockMatching(scope, ofChannel(scope), `order by n.available_at, n.id limit ${size}`);

/**
 * Locks the row of the channel with this id, if it is a head. Same columns as `claimHeads()`; the last is always null.
 * Has neither an order nor a condition on the channel: with them the planner may read the whole channel (4 to 10 ms for
 * 100,000 rows) instead of the primary key.
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
  /** A query with the columns `ctid`, `nth` (from 1), `is_head` and those of `end`, in the order in which to lock. */
  readonly rows: string;
  /** The `nth` of the last row that may come. */
  readonly limit: number;
  /** The cursor behind a row `seen`. */
  readonly end: string;
}

/**
 * Locks each head as it comes, until there are `size`. The join is lateral with a locking query inside, so that
 * PostgreSQL reads no more rows than needed and locks none that it does not return. The conditions appear inside, too:
 * PostgreSQL checks them again when another transaction has changed the row since the statement began. (Newer releases
 * skip such a row altogether, because its `ctid` is another: its change is followed by a claim of its own.) The row is
 * found by `ctid`, because an index scan by id may use the wrong index while the table has no usable statistics.
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
  const behind =
    cursor === undefined
      ? []
      : [`(n.available_at, n.id) > (${quoteLiteral(cursor.availableAt)}::timestamptz, ${cursor.id})`];
  return `
    select n.ctid, n.id, n.available_at, ${isHead} as is_head, row_number() over (order by n.available_at, n.id) as nth
    from ${scope.table} as n
    where ${[ofChannel(scope), isDue, ...behind, ...scope.conditions].join(' and ')}
    order by n.available_at, n.id limit ${limit}
  `;
}

/** The oldest row of each key, key by key. Uses the index `(channel, key, id) where key is not null`. */
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

/** A key can be large: its hash goes through the statement instead. */
const keyLock = ({ channel }: HeadsScope): string =>
  `hashtextextended(${quoteLiteral(`pgpubsub ${channel} `)} || n.key, 0::bigint) as key_lock`;

/** After the row is locked. */
const LOCK_KEY = 'claimed.key_lock is null or pg_try_advisory_xact_lock(claimed.key_lock)';
