import { quoteLiteral } from '../common/sql-identifier.js';
import { notificationTable } from '../storage/storage.sql.js';
import type { ClaimContext, GivenUpClaim } from './claim-context.js';

/**
 * The class of the advisory locks of transactions that are being settled: an arbitrary number, to
 * tell them from the application's locks.
 */
const SETTLING = 1_885_827_121;

/**
 * Finds the transactions ($1) that have ended without a commit. Their lock stays visible in the row
 * as its xmax, the lower half of a transaction number; the full number is the highest one with that
 * half below the server's next. Omits transactions that another process settles.
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
 * A comment that identifies claims of a channel by their query in pg_stat_activity. The server
 * keeps the first 1,024 bytes of a query, and context and columns can be longer. No name can end
 * the comment.
 */
export const claimMark = ({ schema, channel }: Pick<ClaimContext, 'schema' | 'channel'>): string =>
  `/* pgpubsub ${Buffer.from(`${notificationTable(schema)} ${channel}`).toString('base64url')} */`;

/** Adds one to a counter, which any writer may have filled. */
const increased = (column: string): string => `${column} = least(${column}, 2147483646) + 1`;

/** Counts a crash of these rows ($1): their claim ended with its process or connection. */
export const countCrash = (schema: string): string =>
  `update ${notificationTable(schema)} set ${increased('deaths')}, ${increased('attempts')} where id = any($1::bigint[])`;

/**
 * Undoes a claim whose transaction is still open, and locks its rows again for a moment. The lock
 * of a rolled-back transaction would stay visible in them, and count as the lock of a crashed
 * process.
 */
export const undoClaim = (schema: string, ids: readonly string[]): string =>
  `rollback; begin; ${lockRows(schema, ids, 'skip locked')}; commit`;

/** The setting with the transaction of the claim that is being settled, or an empty text. */
const GIVEN_UP = "current_setting('pgpubsub.given_up')";

/**
 * Settles a given-up claim in one transaction: ends the server's session that still holds its rows,
 * waits until they are free, and locks them again. Other claims then see no crash in them, except
 * of rows in `ran`, whose crash is counted here. Meanwhile the advisory lock hides the transaction
 * from `findAborted`.
 *
 * The session is ended only while it holds the locks of the rows, or, if the rows are unknown,
 * while its query has the mark of the channel: behind a pooler the process number may be that of
 * another session. A session that commits is not ended: it may wait for the commit to be durable.
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

/** Selects the transaction of a claim's session, while that may be ended. */
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
