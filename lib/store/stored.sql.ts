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

/** A page of the dead letters, behind the id $1, the listener $2 and the letter $3. */
export const pageDeadLetters = (schema: string, where: string, size: number): string => `
  select ${columns}, (extract(epoch from n.died_at) * 1000)::text as died_ms, n.listener, n.letter::text as letter
  from ${deadLetterTable(schema)} as n where (n.id, n.listener, n.letter) > ($1::bigint, $2::text, $3::bigint) and ${where}
  order by n.id, n.listener, n.letter limit ${size}
`;

/** Reads a payload: $1 the id, $2 the letter, or null. */
export const readLargePayload = (schema: string, isDead: boolean): string =>
  isDead
    ? `select payload::text as payload from ${deadLetterTable(schema)} where id = $1 and letter = $2`
    : `select payload::text as payload from ${notificationTable(schema)} where id = $1 and $2::bigint is null`;

export const countPending = (schema: string, where: string): string =>
  `select count(*)::text as count from ${notificationTable(schema)} as n where ${where}`;

/** The columns that a letter gives back to its notification. */
const BACK = 'channel, payload, context, key, created_at, schema_version, process_id, last_error';

/**
 * Dead letters go back to work, for their listener alone, and wake the processes that claim. A notification that still waits for
 * other listeners waits for this one, too, then: waits for its claim, if there is one. Another notification may have the id
 * by now: then the letter gets a new one. Raises, and changes nothing, when a letter finds no place after all.
 */
export const retryDeadLetters = (schema: string, where: string): string => `
  with gone as (
    delete from ${deadLetterTable(schema)} as n where ${where} returning *
  ), notifications as (
    select distinct on (id, created_at) id, ${BACK},
      (select array_agg(distinct same.listener) from gone as same where same.id = gone.id and same.created_at = gone.created_at) as listeners
    from gone
    order by id, created_at, letter desc
  ), placed as (
    select *, row_number() over (partition by id order by created_at) > 1 or exists (
      select from ${notificationTable(schema)} as w where w.id = n.id and w.created_at <> n.created_at
    ) as is_taken
    from notifications as n
  ), back as (
    insert into ${notificationTable(schema)} as w (id, ${BACK}, listeners)
    select id, ${BACK}, listeners from placed where not is_taken
    on conflict (id) do update set
      listeners = case when w.listeners is not null then w.listeners || excluded.listeners end,
      handled_by = array(select unnest(w.handled_by) except select unnest(excluded.listeners)),
      retries = w.retries - excluded.listeners, available_at = excluded.available_at, deaths = 0
    where w.created_at = excluded.created_at
    returning w.channel
  ), renamed as (
    insert into ${notificationTable(schema)} (${BACK}, listeners)
    select ${BACK}, listeners from placed where is_taken
    returning channel
  ), hinted as (
    select count(pg_notify('${HINT_CHANNEL}', channel))
    from (select channel from back union select channel from renamed) as channels
  )
  select case when (select count(*) from back) + (select count(*) from renamed) = (select count(*) from placed)
    then (select count(*) from gone)::text
    else concat('pgpubsub: no place for a dead letter, of ', (select count(*) from placed))::int::text end as count
  from hinted
`;

export const discardDeadLetters = (schema: string, where: string): string =>
  `with gone as (delete from ${deadLetterTable(schema)} as n where ${where} returning 1) select count(*)::text as count from gone`;

export const countDeadLetters = (schema: string, where: string): string =>
  `select count(*)::text as count from ${deadLetterTable(schema)} as n where ${where}`;

/** In ISO 8601, whatever the session's "DateStyle". */
export const serverTime = "select to_json(clock_timestamp()) #>> '{}' as now";

/** The last of the next `size` dead letters, in the order of the primary key. No row: there are none. Locks nothing. */
export const endOfPortion = (schema: string, where: string, size: number): string => `
  select id::text as id, listener, letter::text as letter
  from (
    select n.id, n.listener, n.letter from ${deadLetterTable(schema)} as n where ${where}
    order by n.id, n.listener, n.letter limit ${size}
  ) as portion
  order by portion.id desc, portion.listener desc, portion.letter desc limit 1
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
