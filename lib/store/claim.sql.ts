import { deadLetterTable, notificationTable } from '../schema/storage.sql.js';
import { quoteLiteral, quoteTextArray } from '../common/sql-identifier.js';
import type { JsonObject } from '../common/json.js';

/** Where the next claim begins: behind the last row of the one before. */
export interface ClaimCursor {
  readonly availableAt: string;
  readonly id: string;
}

/** What stays the same for all claims of a channel in this process. */
export interface ClaimScope {
  readonly schema: string;
  readonly channel: string;
  readonly ordered: boolean;
  /** The listeners of this process. */
  readonly listeners: readonly { readonly name: string; readonly filter: JsonObject | undefined }[];
  /** The module's: other rows are left to other processes. */
  readonly filter: JsonObject | undefined;
  /** The module's context, for triggers that fire in handlers. */
  readonly context: (() => object) | undefined;
}

/** Larger payloads (compressed, in bytes) are read when their turn comes: a claim must fit into memory. */
const LARGE_PAYLOAD = 32_768;

const contains = (filter: JsonObject): string =>
  `coalesce(n.context, '{}') @> ${quoteLiteral(JSON.stringify(filter))}::jsonb`;

/** In the order of `parseRow()`. Texts only, so that no type parser of the application is met. */
const columns = ({ listeners }: ClaimScope): string =>
  [
    'n.id',
    'n.xmax',
    `case when pg_column_size(n.payload) < ${LARGE_PAYLOAD} then n.payload end`,
    `pg_column_size(n.payload) >= ${LARGE_PAYLOAD}`,
    'n.context',
    'n.key',
    'n.attempts',
    'extract(epoch from n.created_at)',
    'extract(epoch from n.available_at)',
    'n.process_id',
    "case when n.handled_by <> '{}' then to_json(n.handled_by) end",
    'to_json(n.listeners)',
    'n.retries',
    'n.deaths',
    'case when n.retries is not null then extract(epoch from clock_timestamp()) end',
    ...listeners.flatMap(({ filter }) => (filter === undefined ? [] : [contains(filter)])),
  ].join(', ');

/** A row somebody here listens to. */
function conditions({ channel, listeners, filter }: ClaimScope): string[] {
  const names = quoteTextArray(listeners.map(({ name }) => name));
  const filters = listeners.map((listener) => listener.filter);
  const wanted = filters.every((given) => given !== undefined)
    ? [`(${filters.map((given) => contains(given)).join(' or ')})`]
    : [];
  return [
    `n.channel = ${quoteLiteral(channel)}`,
    'n.available_at <= statement_timestamp()', // stable, where clock_timestamp() could not use the index
    `(n.listeners is null or n.listeners && ${names})`,
    ...(filter === undefined ? [] : [contains(filter)]),
    ...wanted,
  ];
}

/**
 * Begins a transaction and locks up to `size` claimable rows until it ends, oldest first, skipping those another
 * process holds; one round trip. Uses the index `(channel, available_at, id)`. From the cursor on, because entries of
 * rows that are handled stay at the index's begin until vacuum may remove them.
 */
export function beginClaim(scope: ClaimScope, size: number, cursor: ClaimCursor | undefined): string {
  const from =
    cursor === undefined
      ? []
      : [`(n.available_at, n.id) > (to_timestamp(${cursor.availableAt}), ${cursor.id})`];
  return claim(scope, size, from);
}

/** The same for one row, which is handled alone. */
export const beginClaimOf = (scope: ClaimScope, id: string): string => claim(scope, 1, [`n.id = ${id}`]);

/**
 * What the planner must not do, for the one statement: a table that is empty at one moment and full at the next has no
 * statistics to go by, and with wrong ones it reads and sorts all rows for each claim, instead of the index's first.
 */
const PLANNER_SETTINGS = ['enable_seqscan', 'enable_bitmapscan', 'enable_sort'];
/** For ordered channels, whose claims join. */
const JOIN_SETTINGS = ['enable_hashjoin', 'enable_mergejoin'];

function claim(scope: ClaimScope, size: number, more: readonly string[]): string {
  const rows = scope.ordered ? claimHeads(scope, size, more) : claimRows(scope, size, more);
  const settings = scope.ordered ? [...PLANNER_SETTINGS, ...JOIN_SETTINGS] : PLANNER_SETTINGS;
  const set = (value: string) => settings.map((name) => `set local ${name} = ${value}`).join('; ');
  return `${begin(scope)}; ${set('off')}; ${rows}; ${set('default')}`;
}

/** What the DataSource's default isolation is does not matter: a stricter one would fail instead of skipping. */
function begin({ context }: ClaimScope): string {
  const carried = JSON.stringify(context?.() ?? {});
  return `begin isolation level read committed${carried === '{}' ? '' : `; ${carry(carried)}`}`;
}

/** For triggers that fire from now on: the JSON text of a context. It ends with the transaction. */
export const carry = (context: string): string => `set local pgpubsub.context = ${quoteLiteral(context)}`;

const claimRows = (scope: ClaimScope, size: number, more: readonly string[]): string => `
  select ${columns(scope)} from ${notificationTable(scope.schema)} as n
  where ${[...conditions(scope), ...more].join(' and ')}
  order by n.available_at, n.id limit ${size} for update skip locked`;

/**
 * Of each key its oldest row only; the last value says whether the key is ours to handle. The advisory lock, until the
 * transaction ends, is for rows that commit late: they are older than one that may be handled already.
 */
const claimHeads = (scope: ClaimScope, size: number, more: readonly string[]): string => `
  with heads as (
    select ${columns(scope)} from ${notificationTable(scope.schema)} as n
    where ${[...conditions(scope), ...more].join(' and ')}
      and (n.key is null or not exists (
        select from ${notificationTable(scope.schema)} as e
        where e.channel = ${quoteLiteral(scope.channel)} and e.key = n.key and e.id < n.id
      ))
    order by n.available_at, n.id limit ${size} for update skip locked
  )
  select heads.*, key is null or pg_try_advisory_xact_lock(hashtextextended(${quoteLiteral(`pgpubsub ${scope.channel} `)} || key, 0)) from heads`;

/** One that was too large to come with its claim: $1 its id. */
export const readPayload = (schema: string): string =>
  `select payload::text as payload from ${notificationTable(schema)} where id = $1`;

/** Ends the claim: what is handled goes, the rest is released. One round trip. */
export const completeClaim = (schema: string, handled: readonly string[]): string =>
  handled.length === 0
    ? 'commit'
    : `delete from ${notificationTable(schema)} where id = any('{${handled.join(',')}}'); commit`;

/** The server's clock, in milliseconds. */
export const serverTime = 'select extract(epoch from clock_timestamp()) * 1000 as now';

/** What is to be tried again, or by other listeners: $1 a JSON array of rows. */
export const postpone = (schema: string): string => `
  update ${notificationTable(schema)} as n
  set attempts = r.attempts, available_at = to_timestamp(r.available_ms / 1000), handled_by = r.handled_by, listeners = r.listeners,
    retries = r.retries, last_error = coalesce(r.last_error, n.last_error)
  from json_to_recordset($1::json) as r(
    id bigint, attempts int, available_ms double precision, handled_by text[], listeners text[], retries jsonb, last_error text
  )
  where n.id = r.id
`;

/** What its listener has given up on: $1 a JSON array of rows. A letter that is tried again may die again. */
export const bury = (schema: string): string => `
  insert into ${deadLetterTable(schema)} (
    id, channel, payload, context, key, created_at, available_at, attempts, handled_by, last_error,
    schema_version, process_id, listener
  )
  select n.id, n.channel, n.payload, n.context, n.key, n.created_at, n.available_at, r.attempts, n.handled_by, r.last_error,
    n.schema_version, n.process_id, r.listener
  from json_to_recordset($1::json) as r(id bigint, listener text, attempts int, last_error text)
    join ${notificationTable(schema)} as n on n.id = r.id
  on conflict (id, listener) do update
  set attempts = excluded.attempts, last_error = excluded.last_error, handled_by = excluded.handled_by, died_at = excluded.died_at
`;

/**
 * Which of these transactions ($1) have ended without a commit. Their lock stays visible in the row as its xmax, which is
 * the lower half of their number: they are the last before the next one that end so.
 */
export const findAborted = `
  select id::text as id from unnest($1::bigint[]) as id, txid_snapshot_xmax(txid_current_snapshot()) as next
  where txid_status(next - ((next - id) & 4294967295)) = 'aborted'
`;

/** Counts that a claim of these rows ($1) ended without a word: nothing can be written while a handler takes the process down. */
export const countDeaths = (schema: string): string =>
  `update ${notificationTable(schema)} set deaths = deaths + 1, attempts = attempts + 1 where id = any($1::bigint[])`;

/**
 * In how many milliseconds the next row of channel $1 is due, if one waits for its time, or did so $2 milliseconds ago,
 * when the last claim began. Older ones than that others have locked.
 */
export const nextDue = (scope: ClaimScope): string => `
  select extract(epoch from min(available_at) - clock_timestamp()) * 1000 as ms, ${isTaken(scope)} as taken
  from ${notificationTable(scope.schema)}
  where channel = $1 and available_at > statement_timestamp() - $2 * interval '1 millisecond'
`;

/** Do other processes handle rows? Nobody tells when one of them dies. Of ordered channels, rows wait for those before them. */
const isTaken = (scope: ClaimScope): string =>
  scope.ordered
    ? 'false'
    : `exists (select from ${notificationTable(scope.schema)} as n where ${conditions(scope).join(' and ')})`;
