/**
 * Reads transactions that have been open for at least $1 seconds, harmful ones and the oldest
 * first, and whether they hold back vacuum in this database because they have a snapshot or have
 * written. Transactions of vacuum itself do not count. A role without pg_monitor sees only the pid
 * of other roles' sessions. Reads shared memory, locks nothing.
 */
export const readOldTransactions = `
  select a.pid::text as pid, a.application_name, a.state, left(a.query, 200) as query,
    extract(epoch from clock_timestamp() - a.xact_start)::text as age_seconds,
    a.datid = (select oid from pg_database where datname = current_database())
      and (a.backend_xid is not null or a.backend_xmin is not null) as holds_back_vacuum
  from pg_stat_activity as a
  where a.pid <> pg_backend_pid() and a.backend_type in ('client backend', 'parallel worker', 'background worker')
    and a.xact_start <= clock_timestamp() - $1::float8 * interval '1 second'
    and a.pid not in (select pid from pg_stat_progress_vacuum)
    and (a.datname = current_database() or a.datname is null)
  order by holds_back_vacuum desc, a.xact_start limit 5
`;

/** Reads transactions that were prepared (two-phase commit) at least $1 seconds ago. */
export const readPreparedTransactions = `
  select gid, owner, extract(epoch from clock_timestamp() - prepared)::text as age_seconds
  from pg_prepared_xacts
  where database = current_database() and prepared <= clock_timestamp() - $1::float8 * interval '1 second'
  order by prepared limit 5
`;

/**
 * Reads replication slots, and standbys with hot_standby_feedback, that hold back vacuum. Their age
 * is a number of transactions, because the server does not record a time.
 */
export const readReplicationHorizons = `
  select 'replication slot' as kind, slot_name::text as name, active, age(xmin)::text as age_transactions
  from pg_replication_slots where xmin is not null
  union all
  select 'standby', coalesce(nullif(application_name, ''), pid::text), true, age(backend_xmin)::text
  from pg_stat_replication where backend_xmin is not null
`;

/** Counts the dead rows of the table $1 (quoted name); statistics lag by about a second. */
export const readDeadRows = `
  select coalesce(sum(n_dead_tup), 0)::text as dead from pg_stat_all_tables where relid = to_regclass($1)::oid
`;
