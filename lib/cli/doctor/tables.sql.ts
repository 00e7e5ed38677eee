/**
 * Reads statistics of the tables with the quoted names $1: live and dead rows, the last vacuum, and
 * whether autovacuum may run. Locks nothing.
 */
export const readTableStatistics = `
  select c.oid::regclass::text as name, s.n_live_tup::text as live, s.n_dead_tup::text as dead,
    extract(epoch from clock_timestamp() - greatest(s.last_vacuum, s.last_autovacuum))::text as vacuumed_seconds_ago,
    current_setting('autovacuum') = 'on' and current_setting('track_counts') = 'on' as server_vacuums,
    exists (
      select from pg_options_to_table(c.reloptions) where option_name = 'autovacuum_enabled' and not option_value::boolean
    ) as is_switched_off
  from pg_catalog.unnest($1::text[]) as wanted(name) join pg_class as c on c.oid = to_regclass(wanted.name)::oid
    join pg_stat_all_tables as s on s.relid = c.oid
  order by 1
`;
