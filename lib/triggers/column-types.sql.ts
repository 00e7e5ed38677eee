/**
 * The columns of tables; $1: their schemas (null: the first in the search path), $2: their names,
 * in the same order, which `position` repeats. Domains are resolved to their base type, for columns
 * and elements of arrays, as PostgreSQL reports them to clients. Virtual generated columns are left
 * out, because a trigger sees null in them (read through `to_jsonb`, because `attgenerated` is new
 * in PostgreSQL 12). Reads catalogs, locks nothing.
 */
export const columnTypes = `
  with recursive
    mapped as (
      select wanted.position, c.oid, n.nspname, c.relname
      from unnest($1::name[], $2::name[]) with ordinality as wanted(schema, name, position)
        join pg_catalog.pg_class c on c.relname = wanted.name
        join pg_catalog.pg_namespace n on n.oid = c.relnamespace
      where case when wanted.schema is null then pg_catalog.pg_table_is_visible(c.oid) else n.nspname = wanted.schema end
    ),
    typed as (
      select m.*, a.attname, a.attnum, a.atttypid as type
      from mapped m join pg_catalog.pg_attribute a on a.attrelid = m.oid
      where a.attnum > 0 and not a.attisdropped and coalesce(pg_catalog.to_jsonb(a) operator(pg_catalog.->>) 'attgenerated', '') <> 'v'
      union all
      select d.position, d.oid, d.nspname, d.relname, d.attname, d.attnum, t.typbasetype
      from typed d join pg_catalog.pg_type t on t.oid = d.type
      where t.typtype = 'd'
    ),
    elements as (
      select distinct t.oid as array_type, t.typelem as type
      from typed d join pg_catalog.pg_type t on t.oid = d.type
      where t.typcategory = 'A' and t.typlen = -1 and t.typelem <> 0::oid
      union all
      select e.array_type, t.typbasetype
      from elements e join pg_catalog.pg_type t on t.oid = e.type
      where t.typtype = 'd'
    )
  select d.position::text as position, d.nspname::text as schema, d.relname::text as "table", d.attname::text as "column",
    t.oid::text as oid, t.typname::text as name, element.typname::text as element_name,
    element.typdelim::text as element_delimiter, current_setting('TimeZone') as time_zone
  from typed d
    join pg_catalog.pg_type t on t.oid = d.type and t.typtype <> 'd'
    left join elements e on e.array_type = t.oid
    left join pg_catalog.pg_type element on element.oid = e.type
  where element.typtype is distinct from 'd'
  order by d.position::int, d.attnum
`;
