/** Returns the application names of the LISTEN connections of all processes of this application. */
export const findSessions = `
  select application_name as name
  from pg_stat_activity
  where datname = current_database() and application_name like 'newsroom %:listen'
  order by name
`;

/** Closes the LISTEN connections of all processes, as a restart of the server would. */
export const endSessions = `
  select pg_terminate_backend(pid)
  from pg_stat_activity
  where datname = current_database() and application_name like 'newsroom %:listen'
`;
