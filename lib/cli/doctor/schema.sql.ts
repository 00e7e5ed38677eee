/** Reads the settings of this session that prevent triggers from firing. */
export const readTriggerSettings = `
  select coalesce(current_setting('pgpubsub.disabled', true), '') = 'on' as disabled,
    current_setting('session_replication_role') as replication_role
`;

/** Returns statements that reset the setting $1 of this role or database. Locks nothing. */
export const readResetStatements = `
  select 'alter ' || case
    when s.setrole = 0::oid then coalesce('database ' || quote_ident(d.datname::text), 'role all')
    else 'role ' || quote_ident(r.rolname::text) || coalesce(' in database ' || quote_ident(d.datname::text), '')
  end || ' reset ' || $1::text as statement
  from pg_db_role_setting as s left join pg_roles as r on r.oid = s.setrole left join pg_database as d on d.oid = s.setdatabase
  where (s.setrole = 0::oid or r.rolname = session_user) and (s.setdatabase = 0::oid or d.datname = current_database())
    and exists (select from pg_catalog.unnest(s.setconfig) as setting where lower(split_part(setting, '=', 1)) = $1::text)
  order by 1
`;
