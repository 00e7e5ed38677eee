import { quoteLiteral, quoteQualified, quoteTextArray } from '../common/sql-identifier.js';
import type { JsonObject } from '../common/json.js';
import { GUARDED_SETTINGS, setContext, type GuardedValues } from '../postgres/handler.sql.js';
import { COMPLETE_FUNCTION, deadLetterTable, notificationTable } from '../storage/storage.sql.js';
import type { ClaimContext } from './claim-context.js';
import { claimMark } from './given-up.sql.js';
import { claimHeadOf, claimHeads, claimOldestHeads, type HeadsFrom } from './heads.sql.js';

/** The last row of the previous claim, after which the next one starts. */
export interface ClaimCursor {
  readonly availableAt: string;
  readonly id: string;
}

/** The rows that a claim takes: up to `size`, from a position if there is one, or a single row. */
export type ClaimRange =
  | { readonly size: number; readonly from?: ClaimCursor | undefined }
  | { readonly size: number; readonly heads: HeadsFrom }
  | { readonly id: string };

type Scope = Pick<ClaimContext, 'schema' | 'channel' | 'ordered' | 'listeners' | 'filter' | 'heldBack'>;

/**
 * Larger payloads and contexts (in bytes, not compressed) are read when their turn comes: a claim
 * must fit into memory. The cheapest size is tested first: that of the value as stored.
 */
const LARGE = 32_768;
/**
 * The same for a binary context: each number can have 131,072 digits, which take 0.5 ms to write.
 */
const LARGE_CONTEXT = 2_048;
/** Larger keys are read when a claim continues after them. */
const LARGE_KEY = 8_192;

const contains = (filter: JsonObject): string =>
  `coalesce(n.context, '{}') @> ${quoteLiteral(JSON.stringify(filter))}::jsonb`;

/** Selects an empty text for a value that is too large; no JSON text is empty. */
const unlessLarge = (column: string, isLarge: string): string =>
  `case when ${column} is null then null when ${isLarge} or octet_length(${column}::text) >= ${LARGE} then '' else ${column}::text end`;

const PAYLOAD = unlessLarge('n.payload', `pg_catalog.pg_column_size(n.payload) >= ${LARGE}`);
/** `#> '{}'` returns the context itself, decompressed. */
const CONTEXT = unlessLarge(
  'n.context',
  `pg_catalog.pg_column_size(n.context) >= ${LARGE_CONTEXT} or pg_catalog.pg_column_size(n.context #> '{}'::text[]) >= ${LARGE_CONTEXT}`,
);
const KEY = `case when octet_length(n.key) < ${LARGE_KEY} then n.key end`;

/** The columns that `parseRow()` reads, in order; as texts, so that no type parser applies. */
const rowColumns = ({ ordered, listeners }: Scope): string =>
  [
    'n.id',
    'n.xmax',
    PAYLOAD,
    CONTEXT,
    ordered ? KEY : 'null',
    'n.attempts',
    'extract(epoch from n.created_at)',
    'extract(epoch from n.available_at)',
    'n.process_id',
    "case when n.handled_by operator(pg_catalog.<>) '{}' then pg_catalog.to_json(n.handled_by) end",
    'pg_catalog.to_json(n.listeners)',
    'n.retries',
    'n.deaths',
    'case when n.retries is not null then extract(epoch from clock_timestamp()) end',
    ...listeners.flatMap(({ filter }) => (filter === undefined ? [] : [contains(filter)])),
  ].join(', ');

const conditions = (scope: Scope): string[] => [
  `n.channel = ${quoteLiteral(scope.channel)}`,
  'n.available_at <= statement_timestamp()', // stable: clock_timestamp() could not use the index
  ...wanted(scope),
];

function wanted({ listeners, filter, heldBack }: Scope): string[] {
  const unfiltered = listeners.filter((listener) => listener.filter === undefined);
  const forOne = [
    ...(unfiltered.length === 0 ? [] : [isFor(unfiltered)]),
    ...listeners.flatMap((listener) =>
      listener.filter === undefined ? [] : [`(${isFor([listener])} and ${contains(listener.filter)})`],
    ),
  ];
  const held = heldBack.size === 0 ? [] : heldIds(heldBack);
  return [
    forOne.length === 1 ? forOne.join('') : `(${forOne.join(' or ')})`,
    ...(filter === undefined ? [] : [contains(filter)]),
    ...(held.length === 0 ? [] : [`n.id <> all('{${held.join(',')}}')`]),
  ];
}

const isFor = (listeners: Scope['listeners']): string =>
  `(n.listeners is null or n.listeners operator(pg_catalog.&&) ${quoteTextArray(listeners.map(({ name }) => name))})`;

const heldIds = (heldBack: Scope['heldBack']): string[] =>
  [...heldBack].filter(([, { until }]) => until > performance.now()).map(([id]) => id);

/**
 * Settings that keep the planner on the index, for this statement only. A table that is empty at
 * one moment and full at the next has no useful statistics. With wrong ones the planner reads and
 * sorts all rows for each claim, instead of the first rows of the index.
 */
export const PLANNER_SETTINGS = ['enable_seqscan', 'enable_bitmapscan', 'enable_sort'];

/** The context for triggers while the claim runs, as JSON; `{}`: the session's own. */
export const contextOfClaim = ({ context }: ClaimContext): string => JSON.stringify(context?.() ?? {});

/**
 * Begins a transaction and locks claimable rows until it ends, oldest first, skipping those that
 * another process holds; one round trip. Uses the index `(channel, available_at, id)`. Starts at a
 * position, because index entries of handled rows stay at the start until vacuum may remove them.
 * Settings take a statement each: one SELECT for all of them takes the server ten times as long.
 */
export function beginClaim(context: ClaimContext, range: ClaimRange, contextJson: string): string {
  return [
    // A stricter isolation level, as a default of the DataSource, would fail instead of skipping.
    `begin isolation level read committed ${claimMark(context)}`,
    ...(contextJson === '{}' ? [] : [setContext(contextJson)]),
    ...deadPeerSettings(context),
    ...PLANNER_SETTINGS.map((name) => `set local ${name} = off`),
    context.ordered ? claimHeadsOf(context, range) : claimRows(context, range),
    ...PLANNER_SETTINGS.map((name) => `set local ${name} = default`),
  ].join('; ');
}

/** Reads the server's platform, which decides the dead-peer settings it supports, as two texts. */
export const readPlatform = `
  select current_setting('server_version_num') as version, lower(version()) as build
`;

/** The maximum keep-alive of Linux. */
const MAX_KEEP_ALIVE_S = 32_767;

/**
 * The time after which the server gives up a connection whose peer is silent: unanswered data after
 * `tcp_user_timeout` (PostgreSQL 12 and later, on Linux), an idle connection after the keep-alives.
 * Servers on other platforms would log that they do not support them.
 */
function deadPeerSettings({ deadPeerTimeoutMs, platform }: ClaimContext): string[] {
  const seconds = Math.min(Math.max(1, Math.floor(deadPeerTimeoutMs / 1_000)), MAX_KEEP_ALIVE_S);
  const idle = Math.max(1, Math.floor(seconds / 3));
  const interval = Math.max(1, Math.floor((seconds - idle) / 3));
  return [
    ...(platform.hasUserTimeout ? [`set local tcp_user_timeout = ${deadPeerTimeoutMs}`] : []),
    ...(platform.hasKeepAlives
      ? [
          `set local tcp_keepalives_idle = ${idle}`,
          `set local tcp_keepalives_interval = ${interval}`,
          'set local tcp_keepalives_count = 3',
        ]
      : []),
  ];
}

function claimRows(scope: Scope, range: ClaimRange): string {
  const which = 'id' in range ? [`n.id = ${range.id}`] : 'from' in range ? afterCursor(range.from) : [];
  return `
    select ${rowColumns(scope)} from ${notificationTable(scope.schema)} as n
    where ${[...conditions(scope), ...which].join(' and ')}
    ${'id' in range ? '' : `order by n.available_at, n.id limit ${range.size}`} for update skip locked`;
}

const afterCursor = (cursor: ClaimCursor | undefined): string[] =>
  cursor === undefined
    ? []
    : [`(n.available_at, n.id) > (to_timestamp(${quoteLiteral(cursor.availableAt)}::float8), ${cursor.id})`];

/**
 * Claims the oldest row of each key only. Further columns say whether this transaction has locked
 * the key, and where to continue.
 */
function claimHeadsOf(scope: Scope, range: ClaimRange): string {
  const heads = {
    table: notificationTable(scope.schema),
    channel: scope.channel,
    columns: rowColumns(scope),
    conditions: wanted(scope),
  };
  if ('id' in range) return claimHeadOf(heads, range.id);
  const from = 'heads' in range ? range.heads : 'window';
  if (from === 'oldest') return claimOldestHeads(heads, range.size);
  return claimHeads(heads, range.size, from === 'window' ? undefined : from);
}

/** Reads a payload and a context that were too large for their claim: $1 id. */
export const readLargeRow = (schema: string): string =>
  `select payload::text as payload, context::text as context from ${notificationTable(schema)} where id = $1`;

/** Reads a key that was too large for its claim: $1 id. */
export const readLargeKey = (schema: string): string =>
  `select key from ${notificationTable(schema)} where id = $1`;

/**
 * Ends the claim: deletes the handled rows and releases the rest; one round trip. Raises instead of
 * committing if fewer rows are deleted than were handled (row-level security, a trigger, or rows
 * that were deleted meanwhile), or if a handler has changed `settings`.
 */
export function completeClaim(schema: string, handled: readonly string[], settings?: GuardedValues): string {
  if (handled.length === 0 && settings === undefined) return 'commit';
  const ids = `'{${handled.join(',')}}'::pg_catalog.int8[]`;
  // Passes all arguments in their exact types: another role could add a function that takes fewer.
  const expected = settings === undefined ? [NO_TEXTS, NO_TEXTS] : [texts(GUARDED_SETTINGS), texts(settings)];
  return `select ${quoteQualified(schema, COMPLETE_FUNCTION)}(${[ids, ...expected].join(', ')}); commit`;
}

const NO_TEXTS = 'null::text[]';
const texts = (values: readonly string[]): string => `array[${values.map(quoteLiteral).join(', ')}]`;

/** Reads the server's clock, in milliseconds. */
export const readServerTime =
  'select extract(epoch from clock_timestamp()) operator(pg_catalog.*) 1000 as now';

/** Postpones rows that are retried or left for other listeners: $1 a JSON array of rows. */
export const postpone = (schema: string): string => `
  update ${notificationTable(schema)} as n
  set attempts = r.attempts, available_at = to_timestamp(r.available_ms / 1000::float8), handled_by = r.handled_by, listeners = r.listeners,
    retries = r.retries, last_error = coalesce(r.last_error, n.last_error)
  from json_to_recordset($1::json) as r(
    id bigint, attempts int, available_ms double precision, handled_by text[], listeners text[], retries jsonb, last_error text
  )
  where n.id = r.id
`;

/**
 * Copies given-up rows ($1, a JSON array) to the dead letters. Each becomes a letter of its own,
 * because ids may repeat.
 */
export const moveToDeadLetters = (schema: string): string => `
  insert into ${deadLetterTable(schema)} (
    id, channel, payload, context, key, created_at, available_at, attempts, handled_by, last_error,
    schema_version, process_id, listener
  )
  select n.id, n.channel, n.payload, n.context, n.key, n.created_at, n.available_at, r.attempts, n.handled_by, r.last_error,
    n.schema_version, n.process_id, r.listener
  from json_to_recordset($1::json) as r(id bigint, listener text, attempts int, last_error text)
    join ${notificationTable(schema)} as n on n.id = r.id
`;

/**
 * Milliseconds until the next scheduled row of channel $1. Rows that became due within the last $2
 * ms count as due now: the claim that began then did not see them. Rows that others have locked are
 * older; `taken` says whether there are any.
 */
export const nextDue = (context: ClaimContext): string => `
  select extract(epoch from min(available_at) - clock_timestamp()) operator(pg_catalog.*) 1000 as ms, ${isTaken(context)} as taken
  from ${notificationTable(context.schema)}
  where channel = $1 and available_at < 'infinity' and available_at > statement_timestamp() - $2::float8 * interval '1 millisecond'
`;

/**
 * Whether other processes handle rows: nothing signals the end of a crashed one. On ordered
 * channels always false: rows wait for others there.
 */
const isTaken = (context: ClaimContext): string =>
  context.ordered
    ? 'false'
    : `exists (select from ${notificationTable(context.schema)} as n where ${conditions(context).join(' and ')})`;
