import { quoteQualified } from '../common/sql-identifier.js';
import { deadLetterTable, notificationTable, type Storage } from '../storage/storage.sql.js';

/** Larger payloads are read one by one: a page must fit into memory. */
const LARGE_PAYLOAD = 32_768;

/** As texts: the application's type parsers are its own. */
const columns = `
  n.id::text as id, n.channel, case when pg_catalog.pg_column_size(n.payload) < ${LARGE_PAYLOAD} then n.payload::text end as payload,
  coalesce(pg_catalog.pg_column_size(n.payload) >= ${LARGE_PAYLOAD}, false) as is_large, n.context::text as context, n.key,
  (extract(epoch from n.created_at) operator(pg_catalog.*) 1000)::text as created_ms, (extract(epoch from n.available_at) operator(pg_catalog.*) 1000)::text as available_ms,
  n.attempts::text as attempts, pg_catalog.to_json(n.handled_by)::text as handled_by, n.last_error, n.schema_version
`;

/** A page of what waits, behind the id $1, oldest first: the conditions' parameters follow. Locks nothing. */
export const pagePending = (schema: string, where: string, size: number): string => `
  select ${columns} from ${notificationTable(schema)} as n where n.id > $1::bigint and ${where} order by n.id limit ${size}
`;

/** A page of the dead letters, behind the id $1, the listener $2 and the letter $3. */
export const pageDeadLetters = (schema: string, where: string, size: number): string => `
  select ${columns}, (extract(epoch from n.died_at) operator(pg_catalog.*) 1000)::text as died_ms, n.listener, n.letter::text as letter
  from ${deadLetterTable(schema)} as n where (n.id, n.listener, n.letter) > ($1::bigint, $2::text, $3::bigint) and ${where}
  order by n.id, n.listener, n.letter limit ${size}
`;

/** Reads the payload of a notification that waits: $1 the id. */
export const readLargePayload = (schema: string): string =>
  `select payload::text as payload from ${notificationTable(schema)} where id = $1`;

/** Reads the payload of a dead letter: $1 the id, $2 the listener, $3 the letter. */
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

/** The dead letters of each channel and listener. */
export const countDeadLettersByListener = (schema: string, where: string): string => `
  select n.channel, n.listener, count(*)::text as count from ${deadLetterTable(schema)} as n where ${where}
  group by 1, 2 order by 1, 2
`;

/** In ISO 8601, whatever the session's "DateStyle". */
export const readServerTimeAsText =
  "select pg_catalog.to_json(clock_timestamp()) operator(pg_catalog.#>>) '{}' as now";

/** The last of the next `size` dead letters, in the order of the primary key. No row: there are none. Locks nothing. */
export const readEndOfBatch = (schema: string, where: string, size: number): string => `
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
