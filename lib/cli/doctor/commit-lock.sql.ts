/**
 * Sessions that wait for the lock under which transactions that notify commit, one at a time in the whole server: the
 * "object" 0 of pg_database (PreCommit_Notify in PostgreSQL's async.c). Reads the lock table, which stops no one.
 */
export const countCommitLockWaiters = `
  select count(*)::text as waiting from pg_locks
  where locktype = 'object' and classid = 'pg_database'::regclass::oid and objid = 0::oid
    and mode = 'AccessExclusiveLock' and not granted
`;
