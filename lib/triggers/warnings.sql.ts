/**
 * The places where triggers that match their declarations miss changes, or report them in an
 * unexpected order; $1, $2 and $3: their schemas, tables and names. `kind`:
 *
 * - `disabled`: our trigger `ours` does not fire on the partition `member`; `detail` is its
 *   `tgenabled`.
 * - `inherited`: the table `member` inherits from the declared one.
 * - `moves`: an update of the columns `detail` may move a row to another partition.
 * - `fires before`: the row trigger `other` of the table or partition `member` has a name that
 *   sorts before ours.
 *
 * Columns that are new in PostgreSQL 13 are read through `to_jsonb()`. Names are compared as the
 * server compares them to order triggers. Reads catalogs, locks nothing: `pg_get_partkeydef()`
 * would wait for locks on the table.
 */
export const readTriggerIssues = `
  with recursive
    declared as (
      select c.oid as root, c.relkind, t.oid as trigger, t.tgname, t.tgtype
      from unnest($1::name[], $2::name[], $3::name[]) as wanted(schema, "table", "trigger")
        join pg_catalog.pg_namespace n on n.nspname = wanted.schema
        join pg_catalog.pg_class c on c.relnamespace = n.oid and c.relname = wanted."table"
        join pg_catalog.pg_trigger t on t.tgrelid = c.oid and t.tgname = wanted."trigger"
    ),
    family as (
      select distinct root, root as member, true as is_partition, 0 as depth from declared
      union all
      select f.root, c.oid, c.relispartition, f.depth + 1
      from family f
        join pg_catalog.pg_inherits i on i.inhparent = f.member
        join pg_catalog.pg_class c on c.oid = i.inhrelid
    ),
    issues as (
      select 'disabled' as kind, d.root, f.member, d.tgname as ours, null::name as other, t.tgenabled::text as detail
      from declared d
        join family f on f.root = d.root and f.depth > 0 and f.is_partition
        join pg_catalog.pg_trigger t on t.tgrelid = f.member and t.tgname = d.tgname
      where t.tgenabled not in ('O', 'A')
      union all
      select 'inherited', f.root, f.member, null, null, null from family f where not f.is_partition
      union all
      select 'moves', d.root, d.root, d.tgname, null, (
          select string_agg(coalesce('"' || a.attname || '"', 'an expression'), ', ' order by k.position)
          from pg_catalog.pg_partitioned_table p cross join unnest(p.partattrs::int2[]) with ordinality as k(attnum, position)
            left join pg_catalog.pg_attribute a on a.attrelid = p.partrelid and a.attnum = k.attnum and k.attnum > 0
          where p.partrelid = d.root)
      from declared d where d.relkind = 'p' and d.tgtype & 16 <> 0
      union all
      select 'fires before', d.root, f.member, null, t.tgname, null
      from declared d
        join family f on f.root = d.root and f.is_partition
        join pg_catalog.pg_trigger t on t.tgrelid = f.member and t.tgname < d.tgname
      where d.tgtype & 1 <> 0 and t.tgtype & 67 = 1 and t.tgtype & d.tgtype & 28 <> 0
        and t.tgenabled in ('O', 'A') and not t.tgisinternal and not t.tginitdeferred
        and coalesce((to_jsonb(t) ->> 'tgparentid')::bigint, 0) = 0
        and t.tgname not like '\\_pgpubsub\\_%'
    )
  select distinct d.kind, rn.nspname::text as schema, r.relname::text as "table", mn.nspname::text as member_schema,
    m.relname::text as member, d.ours::text as ours, d.other::text as other, d.detail
  from issues d
    join pg_catalog.pg_class r on r.oid = d.root join pg_catalog.pg_namespace rn on rn.oid = r.relnamespace
    join pg_catalog.pg_class m on m.oid = d.member join pg_catalog.pg_namespace mn on mn.oid = m.relnamespace
  order by schema, "table", d.kind, member_schema, member, ours, other
`;
