/**
 * Reads whether this role may handle stored notifications ($1: the quoted name of their table), and
 * which rights on the table of processes ($2) it lacks. No row without the tables. Locks nothing.
 */
export const readProcessRights = `
  select current_user::text as role, (
      pg_catalog.has_table_privilege(stored::oid, 'update') and pg_catalog.has_table_privilege(stored::oid, 'delete')
    )::text as handles,
    coalesce((
      select pg_catalog.string_agg(name, ', ' order by place)
      from pg_catalog.unnest('{select,insert,update,delete}'::text[]) with ordinality as wanted(name, place)
      where not pg_catalog.has_table_privilege(processes::oid, name)
    ), '') as missing
  from (select to_regclass($1) as stored, to_regclass($2) as processes) as tables
  where stored is not null and processes is not null
`;
