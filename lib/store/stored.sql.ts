import { quoteQualified } from '../common/sql-identifier.js';
import { deadLetterTable, notificationTable, type Storage } from '../storage/storage.sql.js';

/** Larger payloads (in bytes) are read one by one: a page has to fit into memory. */
const LARGE_PAYLOAD = 32_768;

/** All columns as texts, because the application may have replaced pg's type parsers. */
const columns = `
  n.id::text as id, n.channel, case when pg_catalog.pg_column_size(n.payload) < ${LARGE_PAYLOAD} then n.payload::text end as payload,
  coalesce(pg_catalog.pg_column_size(n.payload) >= ${LARGE_PAYLOAD}, false) as is_large, n.context::text as context, n.key,
  (extract(epoch from n.created_at) operator(pg_catalog.*) 1000)::text as created_ms, (extract(epoch from n.available_at) operator(pg_catalog.*) 1000)::text as available_ms,
  n.attempts::text as attempts, pg_catalog.to_json(n.handled_by)::text as handled_by, n.last_error, n.schema_version
`;

/** Reads a page of pending notifications after the id $1, oldest first. Locks nothing. */
export const pagePending = (schema: string, where: string, size: number): string => `
  select ${columns} from ${notificationTable(schema)} as n where n.id > $1::bigint and ${where} order by n.id limit ${size}
`;

/** Reads a page of dead letters after the id $1, listener $2 and letter $3. Locks nothing. */
export const pageDeadLetters = (schema: string, where: string, size: number): string => `
  select ${columns}, (extract(epoch from n.died_at) operator(pg_catalog.*) 1000)::text as died_ms, n.listener, n.letter::text as letter
  from ${deadLetterTable(schema)} as n where (n.id, n.listener, n.letter) > ($1::bigint, $2::text, $3::bigint) and ${where}
  order by n.id, n.listener, n.letter limit ${size}
`;

/** Reads the payload of a pending notification: $1 id. */
export const readLargePayload = (schema: string): string =>
  `select payload::text as payload from ${notificationTable(schema)} where id = $1`;

/** Reads the payload of a dead letter: $1 id, $2 listener, $3 letter. */
export const readLargeDeadLetter = (schema: string): string => `
  select payload::text as payload from ${deadLetterTable(schema)}
  where id = $1::bigint and listener = $2::text and letter = $3::bigint
`;

export const countPending = (schema: string, where: string): string =>
  `select count(*)::text as count from ${notificationTable(schema)} as n where ${where}`;

export const discardDeadLetters = (schema: string, where: string): string =>
  `with gone as (delete from ${deadLetterTable(schema)} as n where ${where} returning 1) select count(*)::text as count from gone`;

export const countDeadLetters = (schema: string, where: string): string =>
  `select count(*)::text as count from ${deadLetterTable(schema)} as n where ${where}`;

/** Counts the dead letters of each channel and listener. */
export const countDeadLettersByListener = (schema: string, where: string): string => `
  select n.channel, n.listener, count(*)::text as count from ${deadLetterTable(schema)} as n where ${where}
  group by 1, 2 order by 1, 2
`;

/** Reads the time in ISO 8601, independent of the session's "DateStyle". */
export const readServerTimeAsText =
  "select pg_catalog.to_json(clock_timestamp()) operator(pg_catalog.#>>) '{}' as now";

/** Reads the last of the next `size` dead letters by primary key, if any. Locks nothing. */
export const readEndOfBatch = (schema: string, where: string, size: number): string => `
  select id::text as id, listener, letter::text as letter
  from (
    select n.id, n.listener, n.letter from ${deadLetterTable(schema)} as n where ${where}
    order by n.id, n.listener, n.letter limit ${size}
  ) as portion
  order by portion.id desc, portion.listener desc, portion.letter desc limit 1
`;

/** Deletes pending notifications; skips those that are being handled, which are locked. */
export const purgePending = (schema: string, where: string): string => `
  with gone as (
    delete from ${notificationTable(schema)} where id in (
      select n.id from ${notificationTable(schema)} as n where ${where} for update skip locked
    ) returning 1
  )
  select count(*)::text as count from gone
`;

/** Reads the executed migrations in order; $1 the name of their table, which may not exist. */
export const hasMigrations = 'select to_regclass($1) is not null as found';
export const executedMigrations = ({ migrationsSchema, migrationsTable }: Storage): string =>
  `select name from ${quoteQualified(migrationsSchema, migrationsTable)} order by id`;
