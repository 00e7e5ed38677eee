/** Counts the sessions in this database whose state and query are hidden from this role. */
export const countHiddenSessions = `
  select count(*)::text as hidden, current_user::text as role from pg_stat_activity
  where datname = current_database() and query = '<insufficient privilege>'
`;
