import { quoteLiteral } from '../common/sql-identifier.js';
import { notificationTable } from '../storage/storage.sql.js';
import type { ClaimContext, GivenUpClaim } from './claim-context.js';

/** Marks the advisory locks of transactions that are being settled, among the locks of the application: an arbitrary number. */
const SETTLING = 1_885_827_121;

/**
 * Which of these transactions ($1) have ended without a commit. Their lock stays visible in the row as its xmax, which is
 * the lower half of their number: they are the last before the next one that end so. Those that another process settles
 * are left out.
 */
export const findAborted = `
  select id::text as id from pg_catalog.unnest($1::bigint[]) as id, txid_snapshot_xmax(txid_current_snapshot()) as next
  where txid_status(next - ((next - id) & 4294967295)) = 'aborted'
    and not exists (
      select from pg_locks as l
      where l.locktype = 'advisory' and l.database = (select oid from pg_database where datname = current_database())
        and l.classid = ${SETTLING}::oid and l.objsubid = 2 and l.objid::bigint = (id + 2147483648) % 4294967296
    )
`;

/**
 * A comment that tells claims of a channel by the query in pg_stat_activity, of which the server keeps the first 1,024 bytes: the context
 * and the columns can be longer. No name can end the comment.
 */
export const claimMark = ({ schema, channel }: Pick<ClaimContext, 'schema' | 'channel'>): string =>
  `/* pgpubsub ${Buffer.from(`${notificationTable(schema)} ${channel}`).toString('base64url')} */`;

/** Adds one to a counter that any writer may have filled. */
const increased = (column: string): string => `${column} = least(${column}, 2147483646) + 1`;

/** Counts for these rows ($1) that a claim ended with its process or connection: nothing could be written meanwhile. */
export const countCrash = (schema: string): string =>
  `update ${notificationTable(schema)} set ${increased('deaths')}, ${increased('attempts')} where id = any($1::bigint[])`;

/**
 * Undoes a claim whose transaction is still ours, and locks its rows once more for a moment: a lock whose transaction was
 * undone would stay visible in them, and be taken for that of a process that crashed.
 */
export const undoClaim = (schema: string, ids: readonly string[]): string =>
  `rollback; begin; ${lockRows(schema, ids, 'skip locked')}; commit`;

/** Holds a text: the transaction of the claim that is being settled, or none. */
const GIVEN_UP = "current_setting('pgpubsub.given_up')";

/**
 * Settles a claim that was given up, in one transaction: ends the server's session that still holds its rows, waits until
 * they are free, and locks them once more. Others see in them then neither a crash nor, for those that `ran`, less than one.
 * The advisory lock hides the transaction from `findAborted` meanwhile.
 *
 * The session is ended only while it holds the locks of the rows, or, for a claim whose rows are not known, waits behind it:
 * behind a pooler the number of the process may be that of another session. A session that commits is left to itself: it
 * may wait for the commit to be durable.
 */
export function settleClaim({ schema, channel }: ClaimContext, claim: GivenUpClaim): string {
  const { ids, ran } = claim;
  const table = notificationTable(schema);
  const rows =
    ids.length === 0
      ? `n.channel = ${quoteLiteral(channel)} and n.xmax::text = ${GIVEN_UP}`
      : `n.id = any('{${ids.join(',')}}')`;
  return [
    "begin; set local lock_timeout = '2s'",
    `select set_config('pgpubsub.given_up', coalesce((${findSession(table, claimMark({ schema, channel }), claim)}), ''), true)`,
    `select pg_advisory_xact_lock(${SETTLING}, (x.id::bigint - 2147483648)::int) from (select ${GIVEN_UP} as id) as x where x.id <> ''`,
    `select pg_catalog.pg_terminate_backend(${Number(claim.processId)}) where ${GIVEN_UP} <> ''`,
    `select from ${table} as n where ${rows} order by n.id for update`,
    ...(ran.length === 0
      ? []
      : [
          `update ${table} set ${increased('deaths')}, ${increased('attempts')} where id in (${ran.join(', ')})`,
        ]),
    'commit',
  ].join('; ');
}

/** The transaction of the session of a claim, while it may be ended. */
function findSession(table: string, mark: string, { processId, ids, isCommitting }: GivenUpClaim): string {
  const state =
    isCommitting || ids.length === 0 ? "a.state like 'idle in transaction%'" : "a.state <> 'idle'";
  const isOurs =
    ids.length === 0
      ? `position(${quoteLiteral(mark)} in a.query) > 0`
      : `a.backend_xid::text in (select n.xmax::text from ${table} as n where n.id = any('{${ids.join(',')}}'))`;
  return `
    select a.backend_xid::text from pg_stat_activity as a
    where a.pid = ${Number(processId)} and a.usename = session_user and a.datname = current_database()
      and a.backend_xid is not null and ${state} and ${isOurs}
  `;
}

const lockRows = (schema: string, ids: readonly string[], wait: string): string =>
  `select from ${notificationTable(schema)} where id = any('{${ids.join(',')}}') order by id for update ${wait}`;
