import { isOurs, isTrusted } from '../storage/state.sql.js';

/**
 * The triggers with the names $1, or with a name of ours; $2: the option `role`. Definitions are
 * exact only with an empty search path, see `withEmptySearchPath`. Reads catalogs, locks nothing.
 */
export const readTriggers = `
  select n.nspname as schema, c.relname as "table", t.tgname as name, f.proname as function_name,
    fn.nspname as function_schema, t.tgtype::int as type, t.tgenabled as enabled,
    t.tgoldtable as old_table, t.tgnewtable as new_table, t.tgattr::text = '' and t.tgconstraint = 0 as plain,
    substring(pg_get_triggerdef(t.oid) from ' WHEN \\((.*)\\) EXECUTE ') as condition, encode(t.tgargs, 'hex') as arguments,
    pg_get_triggerdef(t.oid) as definition, obj_description(t.oid, 'pg_trigger') as comment,
    ${isOurs('c.relowner', '$2')} and ${isOurs('f.proowner', '$2')} as owned
  from pg_trigger t
    join pg_class c on c.oid = t.tgrelid join pg_namespace n on n.oid = c.relnamespace
    join pg_proc f on f.oid = t.tgfoid join pg_namespace fn on fn.oid = f.pronamespace
  where not t.tgisinternal
    and not exists (
      select from pg_depend d where d.classid = 'pg_trigger'::regclass and d.objid = t.oid and d.refclassid = 'pg_trigger'::regclass
    )
    and (t.tgname = any($1::text[]) or t.tgname like '\\_pgpubsub\\_%' or f.proname in ('pgpubsub_broadcast', 'pgpubsub_store') or f.proname = any($1::text[])
      or ${isOurs('f.proowner', '$2')} and obj_description(f.oid, 'pg_proc') like 'pgpubsub:%')
  order by 1, 2, 3
`;

/**
 * The functions that declarations generated: with the names $1, or with our comment. $2: the option
 * `role`, $3 and $4: schema and name of TypeORM's migrations table.
 */
export const readFunctions = `
  select n.nspname as schema, p.proname as name, p.prosrc as body, p.proconfig as settings,
    p.provolatile = 'v' and not p.prosecdef and not p.proleakproof and not p.proisstrict
      and (p.prorettype = 'trigger'::regtype and l.lanname = 'plpgsql' or p.prorettype = 'boolean'::regtype and l.lanname = 'sql') as plain,
    format('%I.%I(%s)', n.nspname, p.proname, pg_get_function_identity_arguments(p.oid)) as identity,
    pg_get_functiondef(p.oid) as definition, obj_description(p.oid, 'pg_proc') as comment,
    ${isOurs('p.proowner', '$2')} as owned, ${isTrusted('p.proowner', { role: '$2', schema: '$3', table: '$4' })} as trusted
  from pg_proc p join pg_namespace n on n.oid = p.pronamespace join pg_language l on l.oid = p.prolang
  where p.prokind = 'f' and p.prorettype in ('trigger'::regtype, 'boolean'::regtype)
    and (p.proname = any($1::text[]) or ${isOurs('p.proowner', '$2')} and obj_description(p.oid, 'pg_proc') like 'pgpubsub:%')
  order by 1, 2
`;

/** The version of the server, and the schema of PostGIS; null without PostGIS. */
export const readServer = `
  select current_setting('server_version_num') as version,
    (select n.nspname::text from pg_extension e join pg_namespace n on n.oid = e.extnamespace where e.extname = 'postgis') as postgis
`;

const SCHEMA_LOCK = "hashtextextended('nestjs-pgpubsub:schema', 0::bigint)";

/** Limits the wait for a lock in this transaction; $1: milliseconds. */
export const setLockTimeout = "select set_config('lock_timeout', $1, true)";
/** Takes the schema lock for the session, beyond the transaction. Any role can take it. */
export const takeSchemaLock = `select pg_advisory_lock(${SCHEMA_LOCK})`;
export const giveSchemaLock = `select pg_advisory_unlock(${SCHEMA_LOCK})`;

/** The session that holds the schema lock. Reading the lock table blocks no other session. */
export const readSchemaLockHolder = `
  select l.pid::text as pid, a.application_name as application, a.usename::text as role
  from pg_locks l left join pg_stat_activity a on a.pid = l.pid
  where l.locktype = 'advisory' and l.granted and l.objsubid = 1
    and l.database = (select oid from pg_database where datname = current_database())
    and (l.classid::bigint << 32) | l.objid::bigint = ${SCHEMA_LOCK}
`;

/** Columns with types of PostGIS, or with arrays of them. Domains are resolved to their type. */
const spatialColumns = (types: string, isArray = false) => `array(
      with recursive typed as (
        select a.attname, a.attnum, a.atttypid as type, false as is_array
        from pg_attribute a where a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped
        union all
        select d.attname, d.attnum, case t.typtype when 'd' then t.typbasetype else t.typelem end, d.is_array or t.typtype <> 'd'
        from typed d join pg_type t on t.oid = d.type
        where t.typtype = 'd' or t.typcategory = 'A' and t.typlen = -1 and t.typelem <> 0::oid
      )
      select d.attname::text
      from typed d join pg_type t on t.oid = d.type join pg_extension e on e.extnamespace = t.typnamespace
      where e.extname = 'postgis' and t.typname in (${types}) and d.is_array = ${isArray}
      order by d.attnum
    )`;

/** The tables with the quoted names $1 that exist. */
export const selectTables = `
  select wanted.name, c.relkind = 'p' as partitioned, c.relispartition as partition,
    array(
      select a.attname::text from pg_attribute a
      where a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped order by a.attnum
    ) as columns,
    array(
      select a.attname::text from pg_attribute a
      where a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped and pg_catalog.to_jsonb(a) operator(pg_catalog.->>) 'attgenerated' = 'v' order by a.attnum
    ) as virtual,
    ${spatialColumns("'geometry'")} as geometries,
    ${spatialColumns("'geography'")} as geographies,
    ${spatialColumns("'geometry', 'geography'", true)} as spatial_arrays,
    array(
      select a.attname::text
      from pg_index i cross join pg_catalog.unnest(i.indkey::int2[]) with ordinality as key(attnum, position)
        join pg_attribute a on a.attrelid = c.oid and a.attnum = key.attnum
      where i.indrelid = c.oid and i.indisprimary order by key.position
    ) as primary_key
  from pg_catalog.unnest($1::text[]) as wanted(name) join pg_class c on c.oid = to_regclass(wanted.name)::oid
`;
