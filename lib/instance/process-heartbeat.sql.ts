import { HINT_CHANNEL, channelTable, processTable } from '../storage/storage.sql.js';

/** The channels that are paused everywhere. Locks nothing. */
export const readPaused = (schema: string): string => `
  select channel from ${channelTable(schema)} where paused
`;

/**
 * Writes the row of a process: $1 its id, $2 application, $3 host, $4 version of the library, $5 its listeners by channel as
 * JSON. Deletes rows that are older than a minute, but for those that another process is deleting. Returns the channels that
 * are paused everywhere.
 */
export const recordProcess = (schema: string): string => `
  with recorded as (
    insert into ${processTable(schema)} (instance, application, host, library_version, listeners, seen_at)
    values ($1::text, $2::text, $3::text, $4::text, $5::jsonb, clock_timestamp())
    on conflict (instance) do update set listeners = excluded.listeners, seen_at = excluded.seen_at
  ), gone as (
    delete from ${processTable(schema)} where instance in (
      select instance from ${processTable(schema)}
      where seen_at < clock_timestamp() - interval '1 minute' and instance <> $1::text
      for update skip locked
    )
  )
  ${readPaused(schema)}
`;

/** Deletes the row of process $1, which ends. */
export const removeProcess = (schema: string): string => `
  delete from ${processTable(schema)} where instance = $1::text
`;

/** Tells all processes that settings of channels have changed. */
const TELL = `select pg_notify('${HINT_CHANNEL}', '')`;

/** Sets whether the channels $1 are paused everywhere, as $2 says, and tells all processes. Locks their rows. */
export const setPaused = (schema: string): string => `
  with changed as (
    insert into ${channelTable(schema)} (channel, paused) select named, $2::boolean from pg_catalog.unnest($1::text[]) as named
    on conflict (channel) do update set paused = excluded.paused
  )
  ${TELL}
`;

/** Resumes every channel that is paused everywhere, and tells all processes. Locks their rows. */
export const resumeAll = (schema: string): string => `
  with changed as (update ${channelTable(schema)} set paused = false where paused)
  ${TELL}
`;
