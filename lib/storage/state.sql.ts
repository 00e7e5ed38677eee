import { quoteIdentifier } from '../common/sql-identifier.js';

/**
 * Whether the owner of an object is the current role or `role` (a parameter): their objects are
 * ours. Only such objects are dropped, and copied into migrations. Comments are no proof, because
 * every role can write them.
 */
export const isOurs = (owner: string, role: string): string =>
  `${owner} in (select r.oid from pg_roles r where r.rolname in (current_user, ${role}::name))`;

/** Parameters of a statement that checks whether an owner is trusted. */
export interface TrustParameters {
  readonly role: string;
  /** The schema of TypeORM's migrations table. */
  readonly schema: string;
  /** The name of that table. */
  readonly table: string;
}

/**
 * Whether an object may be used in its declared place: it is ours, or belongs to the owner of
 * TypeORM's migrations table, or to a role that no other role can act as: a superuser, or the owner
 * of the database.
 */
export const isTrusted = (owner: string, { role, schema, table }: TrustParameters): string =>
  `(${isOurs(owner, role)}
    or ${owner} in (select m.relowner from pg_class m join pg_namespace s on s.oid = m.relnamespace
      where s.nspname = ${schema} and m.relname = ${table} and m.relkind = 'r')
    or exists (select from pg_roles r where r.oid = ${owner} and r.rolsuper)
    or ${owner} = (select d.datdba from pg_database d where d.datname = current_database()))`;

const TRUST: TrustParameters = { role: '$4', schema: '$2', table: '$3' };

const TABLES = `('pgpubsub_notification', 'pgpubsub_dead_letter', 'pgpubsub_process', 'pgpubsub_channel')`;

/**
 * The objects of the storage in the schema $1, each with a hash of its definition. $2 and $3:
 * schema and name of TypeORM's migrations table, $4: the option `role`. Neither the schema nor the
 * migrations table changes a hash. Exact only with an empty search path. Reads catalogs, locks
 * nothing.
 */
export const readState = `
  with tables as (
    select c.oid, c.relname, c.relkind, c.relowner, c.relpersistence, c.reloptions
    from pg_class c join pg_namespace n on n.oid = c.relnamespace
    where n.nspname = $1 and c.relname in ${TABLES} and c.relkind in ('r', 'p', 'v', 'm', 'f')
  )
  select 'table' as kind, t.relname as name, t.relkind = 'r' as expected, ${isTrusted('t.relowner', TRUST)} as trusted, pg_get_userbyid(t.relowner) as role,
    obj_description(t.oid, 'pg_class') as comment, null as source, null as definition,
    md5(concat_ws('; ', t.relpersistence, array(select unnest(t.reloptions) order by 1), array(
      select format('%s %s %s %s %s', a.attname, format_type(a.atttypid, a.atttypmod), a.attnotnull, a.attidentity, pg_get_expr(d.adbin, d.adrelid))
      from pg_attribute a left join pg_attrdef d on d.adrelid = a.attrelid and d.adnum = a.attnum
      where a.attrelid = t.oid and a.attnum > 0 and not a.attisdropped order by a.attname
    ), array(
      select pg_get_constraintdef(k.oid) from pg_constraint k where k.conrelid = t.oid and k.contype in ('p', 'u', 'x', 'c', 'f') order by 1
    ))) as hash
  from tables t
  union all
  select 'index', x.relname, true, true, null, null, null, null,
    md5(concat_ws(' ', i.indisvalid, i.indisunique, regexp_replace(pg_get_indexdef(x.oid), '^.* USING ', '')))
  from tables t join pg_index i on i.indrelid = t.oid join pg_class x on x.oid = i.indexrelid where x.relname like 'pgpubsub\\_%' and not i.indisprimary
  union all
  select 'function', p.proname, p.prokind = 'f', ${isTrusted('p.proowner', TRUST)}, pg_get_userbyid(p.proowner),
    null, case p.proname when 'pgpubsub_schema_version' then p.prosrc end, pg_get_functiondef(p.oid),
    md5(concat_ws('; ', pg_get_function_arguments(p.oid), pg_get_function_result(p.oid), l.lanname, p.provolatile,
      p.prosecdef, p.proleakproof, p.proisstrict,
      array(select case when setting like 'extra_float_digits=%' then '' else lower(setting) end from unnest(p.proconfig) as setting order by 1),
      case p.proname when 'pgpubsub_schema_version' then '' else replace(p.prosrc, '"' || replace(n.nspname, '"', '""') || '".', '') end
    ))
  from pg_proc p join pg_namespace n on n.oid = p.pronamespace join pg_language l on l.oid = p.prolang
  where n.nspname = $1 and p.prokind = 'f' and p.proname like 'pgpubsub\\_%'
  order by 1 desc, 2
`;

/**
 * Our storages in schemas other than $1, with the comments on their tables. $2: the option `role`.
 */
export const readOthers = `
  select n.nspname as schema, obj_description(c.oid, 'pg_class') as comment
  from pg_class c join pg_namespace n on n.oid = c.relnamespace
  where n.nspname <> $1 and c.relname = 'pgpubsub_notification' and c.relkind = 'r' and ${isOurs('c.relowner', '$2')}
  order by 1
`;

export const readServer = `
  select current_setting('server_version_num')::text as version, exists (select from pg_namespace where nspname = $1) as schema_exists
`;

/**
 * The arguments, in hexadecimal digits, of triggers that call functions of the storage in the
 * schema $1, or whose function names its table $2. The first argument is the owner.
 */
export const readTriggerArguments = `
  select encode(t.tgargs, 'hex') as arguments
  from pg_trigger t join pg_proc p on p.oid = t.tgfoid join pg_namespace n on n.oid = p.pronamespace
  where not t.tgisinternal and t.tgname like '\\_pgpubsub\\_%'
    and (n.nspname = $1 and p.proname in ('pgpubsub_broadcast', 'pgpubsub_store') or strpos(p.prosrc, $2) > 0)
`;

/** Whether one of the tables of the storage holds rows. The names are quoted. */
export const holdsRows = (tables: readonly string[]): string =>
  `select ${tables.map((table) => `exists (select from ${table})`).join(' or ')} as "holdsRows"`;

export const createSchema = (schema: string): string => `create schema ${quoteIdentifier(schema)}`;
export const dropSchema = (schema: string): string => `drop schema ${quoteIdentifier(schema)}`;
export const commentOnTable = (table: string, comment: string): string =>
  `comment on table ${table} is ${comment}`;
