import { owningRole } from './owner.js';

const OWNING_ROLE = owningRole('$3', '$4');

/**
 * The library's own tables and functions as the catalog has them: by their names ($1) in the schema $2; in others tables
 * of the owning role that carry our comment, which every role can write. Exact under an empty search path only. Reads
 * catalogs, locks nothing.
 */
const isOurs = `c.relname = any($1::text[]) and c.relkind in ('r', 'p', 'v', 'm', 'f')
    and (n.nspname = $2 or c.relkind = 'r' and c.relowner = ${OWNING_ROLE} and obj_description(c.oid, 'pg_class') like 'pgpubsub:%')`;

export const readTables = `
  select n.nspname as schema, c.relname as name, c.relkind::text as kind, c.relpersistence = 'p' as logged,
    c.reloptions as settings, obj_description(c.oid, 'pg_class') as comment,
    c.relkind = 'r' and c.relowner = ${OWNING_ROLE} as owned
  from pg_class c join pg_namespace n on n.oid = c.relnamespace
  where ${isOurs}
  order by 1, 2
`;

export const readColumns = `
  select n.nspname as schema, c.relname as "table", a.attname as name, format_type(a.atttypid, a.atttypmod) as type,
    a.attnotnull as not_null, pg_get_expr(d.adbin, d.adrelid) as "default",
    case a.attidentity when 'a' then 'always' when 'd' then 'by default' end as identity
  from pg_class c join pg_namespace n on n.oid = c.relnamespace
    join pg_attribute a on a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped
    left join pg_attrdef d on d.adrelid = c.oid and d.adnum = a.attnum
  where ${isOurs}
  order by 1, 2, a.attnum
`;

/** But for NOT NULL, which PostgreSQL 18 counts among them: columns say that. */
export const readConstraints = `
  select n.nspname as schema, c.relname as "table", k.conname as name, pg_get_constraintdef(k.oid) as definition
  from pg_class c join pg_namespace n on n.oid = c.relnamespace join pg_constraint k on k.conrelid = c.oid
  where k.contype in ('p', 'u', 'x', 'c', 'f') and ${isOurs}
  order by 1, 2, 3
`;

/** But for those of constraints. One whose creation has failed is not valid, and of no use. */
export const readIndexes = `
  select n.nspname as schema, c.relname as "table", x.relname as name, i.indisvalid as valid,
    pg_get_indexdef(x.oid) as definition,
    substr(pg_get_indexdef(x.oid), length(format('CREATE INDEX %I ON %I.%I ', x.relname, n.nspname, c.relname)) + 1) as described
  from pg_class c join pg_namespace n on n.oid = c.relnamespace
    join pg_index i on i.indrelid = c.oid join pg_class x on x.oid = i.indexrelid
  where not exists (select from pg_constraint k where k.conindid = x.oid and k.conrelid = c.oid) and ${isOurs}
  order by 1, 2, 3
`;

export const readFunctions = `
  select n.nspname as schema, p.proname as name, l.lanname as language,
    array_to_string(array(select format_type(t, null) from unnest(p.proargtypes::oid[]) t), ', ') as types,
    pg_get_function_arguments(p.oid) as parameters, pg_get_function_result(p.oid) as result,
    case p.provolatile when 'i' then 'immutable' when 's' then 'stable' else 'volatile' end as volatility,
    not p.prosecdef and not p.proleakproof and not p.proisstrict and p.proparallel = 'u' as plain,
    p.proconfig as settings, p.prosrc as body, obj_description(p.oid, 'pg_proc') as comment,
    pg_get_functiondef(p.oid) as definition, p.proowner = ${OWNING_ROLE} as owned
  from pg_proc p join pg_namespace n on n.oid = p.pronamespace join pg_language l on l.oid = p.prolang
  where p.prokind = 'f' and p.proname = any($1::text[])
    and (n.nspname = $2 or p.proowner = ${OWNING_ROLE} and obj_description(p.oid, 'pg_proc') like 'pgpubsub:%')
  order by 1, 2, types
`;

export const schemaExists = 'select exists (select from pg_namespace where nspname = $1) as "exists"';

/** Reads at most one row of the table, a quoted name. */
export const rowExists = (table: string): string => `select exists (select from ${table}) as "exists"`;
