import { quoteQualified } from '../common/sql-identifier.js';
import { HINT_CHANNEL, deadLetterTable, notificationTable, type Storage } from '../schema/storage.sql.js';

/** Larger payloads are read one by one: a page must fit into memory. */
const LARGE_PAYLOAD = 32_768;

/** As texts: the application's type parsers are its own. */
const columns = `
  n.id::text as id, n.channel, case when pg_column_size(n.payload) < ${LARGE_PAYLOAD} then n.payload::text end as payload,
  coalesce(pg_column_size(n.payload) >= ${LARGE_PAYLOAD}, false) as is_large, n.context::text as context, n.key,
  (extract(epoch from n.created_at) * 1000)::text as created_ms, (extract(epoch from n.available_at) * 1000)::text as available_ms,
  n.attempts::text as attempts, to_json(n.handled_by)::text as handled_by, n.last_error, n.schema_version
`;

/** A page of what waits, behind the id $1, oldest first: the conditions' parameters follow. Locks nothing. */
export const pagePending = (schema: string, where: string, size: number): string => `
  select ${columns} from ${notificationTable(schema)} as n where n.id > $1::bigint and ${where} order by n.id limit ${size}
`;

/** A page of the dead letters, behind the id $1 and the listener $2. */
export const pageDeadLetters = (schema: string, where: string, size: number): string => `
  select ${columns}, (extract(epoch from n.died_at) * 1000)::text as died_ms, n.listener
  from ${deadLetterTable(schema)} as n where (n.id, n.listener) > ($1::bigint, $2::text) and ${where}
  order by n.id, n.listener limit ${size}
`;

export const readLargePayload = (table: string): string =>
  `select payload::text as payload from ${table} where id = $1 limit 1`;

export const countPending = (schema: string, where: string): string =>
  `select count(*)::text as count from ${notificationTable(schema)} as n where ${where}`;

/**
 * Dead letters go back to work, for their listener alone, and wake those who claim. A notification that still waits for
 * other listeners waits for this one, too, then: waits for its claim, if there is one.
 */
export const retryDeadLetters = (schema: string, where: string): string => `
  with gone as (
    delete from ${deadLetterTable(schema)} as n where ${where} returning *
  ), back as (
    insert into ${notificationTable(schema)} as w (
      id, channel, payload, context, key, created_at, schema_version, process_id, last_error, listeners
    )
    select distinct on (id) id, channel, payload, context, key, created_at, schema_version, process_id, last_error,
      (select array_agg(same.listener) from gone as same where same.id = gone.id)
    from gone
    on conflict (id) do update set
      listeners = case when w.listeners is not null then w.listeners || excluded.listeners end,
      handled_by = array(select unnest(w.handled_by) except select unnest(excluded.listeners)),
      retries = w.retries - excluded.listeners, available_at = excluded.available_at, deaths = 0
    returning w.channel
  ), hinted as (
    select count(pg_notify('${HINT_CHANNEL}', channel)) from (select distinct channel from back) as channels
  )
  select (select count(*) from gone)::text as count from hinted
`;

export const discardDeadLetters = (schema: string, where: string): string =>
  `with gone as (delete from ${deadLetterTable(schema)} as n where ${where} returning 1) select count(*)::text as count from gone`;

export const countDeadLetters = (schema: string, where: string): string =>
  `select count(*)::text as count from ${deadLetterTable(schema)} as n where ${where}`;

/** In ISO 8601, whatever the session's "DateStyle". */
export const serverTime = "select to_json(clock_timestamp()) #>> '{}' as now";

/** The last of the next `size` dead letters, in the order of the primary key. No row: there are none. Locks nothing. */
export const endOfPortion = (schema: string, where: string, size: number): string => `
  select id::text as id, listener
  from (
    select n.id, n.listener from ${deadLetterTable(schema)} as n where ${where} order by n.id, n.listener limit ${size}
  ) as portion
  order by portion.id desc, portion.listener desc limit 1
`;

/** What is being handled stays: it is locked. */
export const purgePending = (schema: string, where: string): string => `
  with gone as (
    delete from ${notificationTable(schema)} where id in (
      select n.id from ${notificationTable(schema)} as n where ${where} for update skip locked
    ) returning 1
  )
  select count(*)::text as count from gone
`;

/** The executed migrations, in their order; $1 the name of the table, which may not be there. */
export const hasMigrations = 'select to_regclass($1) is not null as found';
export const executedMigrations = ({ migrationsSchema, migrationsTable }: Storage): string =>
  `select name from ${quoteQualified(migrationsSchema, migrationsTable)} order by id`;
