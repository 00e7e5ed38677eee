import { processTable } from '../storage/storage.sql.js';

/**
 * Writes the row of a process: $1 id, $2 application, $3 host, $4 version of the library, $5 its
 * listeners by channel (JSON). Deletes rows that are older than a minute or lie in the future,
 * except those that another process is deleting.
 */
export const recordProcess = (schema: string): string => `
  with recorded as (
    insert into ${processTable(schema)} (instance, application, host, library_version, listeners, seen_at)
    values ($1::text, $2::text, $3::text, $4::text, $5::jsonb, clock_timestamp())
    on conflict (instance) do update set listeners = excluded.listeners, seen_at = excluded.seen_at
  )
  delete from ${processTable(schema)} where instance in (
    select instance from ${processTable(schema)}
    where instance <> $1::text
      and (seen_at < clock_timestamp() - interval '1 minute' or seen_at > clock_timestamp() + interval '1 minute')
    for no key update skip locked
  )
`;

/** Deletes the row of the process $1. */
export const removeProcess = (schema: string): string => `
  delete from ${processTable(schema)} where instance = $1::text
`;
