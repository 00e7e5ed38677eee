/** The LISTEN connections of this application, of all its processes: their application names. */
export const findSessions = `
  select application_name as name
  from pg_stat_activity
  where datname = current_database() and application_name like 'newsroom %:listen'
  order by name
`;

/** Ends them, as a restart of the server or of a firewall would. */
export const endSessions = `
  select pg_terminate_backend(pid)
  from pg_stat_activity
  where datname = current_database() and application_name like 'newsroom %:listen'
`;
