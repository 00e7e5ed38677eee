import { owningRole } from '../schema/owner.js';

const OWNING_ROLE = owningRole('$2', '$3');

/**
 * Our triggers as the catalog has them: those of functions of the owning role ($2 and $3 schema and name of TypeORM's migrations
 * table) with our comment, or with it themselves, on tables of that role; and those with our names ($1). The definitions are exact under an empty search path only, see `withoutSearchPath`. Reads catalogs, locks
 * nothing.
 */
export const readTriggers = `
  select n.nspname as schema, c.relname as "table", t.tgname as name, f.proname as function_name,
    fn.nspname as function_schema, t.tgtype::int as type, t.tgenabled as enabled,
    t.tgoldtable as old_table, t.tgnewtable as new_table,
    t.tgqual is null and t.tgnargs = 0 and t.tgattr::text = '' and t.tgconstraint = 0 as plain,
    pg_get_triggerdef(t.oid) as definition, obj_description(t.oid, 'pg_trigger') as comment,
    obj_description(f.oid, 'pg_proc') as function_comment,
    c.relowner = ${OWNING_ROLE} and f.proowner = c.relowner as owned
  from pg_trigger t
    join pg_class c on c.oid = t.tgrelid join pg_namespace n on n.oid = c.relnamespace
    join pg_proc f on f.oid = t.tgfoid join pg_namespace fn on fn.oid = f.pronamespace
  where not t.tgisinternal
    and not exists (
      select from pg_depend d where d.classid = 'pg_trigger'::regclass and d.objid = t.oid and d.refclassid = 'pg_trigger'::regclass
    )
    and (
      t.tgname = any($1::text[])
      or c.relowner = ${OWNING_ROLE} and f.proowner = c.relowner
        and (obj_description(t.oid, 'pg_trigger') like 'pgpubsub:%' or obj_description(f.oid, 'pg_proc') like 'pgpubsub:%')
    )
  order by 1, 2, 3
`;

/** Our functions, likewise: by comment, or by name ($1). */
export const readFunctions = `
  select n.nspname as schema, p.proname as name, p.prosrc as body, p.proconfig as settings,
    l.lanname = 'plpgsql' and p.provolatile = 'v' and not p.prosecdef and not p.proleakproof as plain,
    pg_get_functiondef(p.oid) as definition, obj_description(p.oid, 'pg_proc') as comment,
    p.proowner = ${OWNING_ROLE} as owned
  from pg_proc p join pg_namespace n on n.oid = p.pronamespace join pg_language l on l.oid = p.prolang
  where p.prorettype = 'trigger'::regtype
    and (p.proname = any($1::text[]) or p.proowner = ${OWNING_ROLE} and obj_description(p.oid, 'pg_proc') like 'pgpubsub:%')
  order by 1, 2
`;

export const serverVersion = "select current_setting('server_version_num') as version";

/** One process at a time changes the schema; held by the session, over several transactions. */
export const lockSchema = "select pg_advisory_lock(hashtextextended('nestjs-pgpubsub:schema', 0))";
export const unlockSchema = "select pg_advisory_unlock(hashtextextended('nestjs-pgpubsub:schema', 0))";

/** Tables, $1 their quoted names: their kind, their columns, and those of their primary key. What is not there is left out. */
export const readTables = `
  select wanted.name, c.relkind = 'p' as partitioned, c.relispartition as partition,
    array(
      select a.attname::text from pg_attribute a
      where a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped order by a.attnum
    ) as columns,
    array(
      select a.attname::text
      from pg_index i cross join unnest(i.indkey::int2[]) with ordinality as key(attnum, position)
        join pg_attribute a on a.attrelid = c.oid and a.attnum = key.attnum
      where i.indrelid = c.oid and i.indisprimary order by key.position
    ) as primary_key
  from unnest($1::text[]) as wanted(name) join pg_class c on c.oid = to_regclass(wanted.name)
`;
