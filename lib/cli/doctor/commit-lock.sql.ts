/**
 * Counts the sessions that wait for the server-wide lock under which notifying transactions commit:
 * the "object" 0 of pg_database (PreCommit_Notify in PostgreSQL's async.c). Blocks no session.
 */
export const countCommitLockWaiters = `
  select count(*)::text as waiting from pg_locks
  where locktype = 'object' and classid = 'pg_database'::regclass::oid and objid = 0::oid
    and mode = 'AccessExclusiveLock' and not granted
`;
