import { HINT_CHANNEL, channelTable } from '../storage/storage.sql.js';

/** Notifies all processes that settings of channels have changed: a hint without a channel. */
const NOTIFY_PROCESSES = `select pg_notify('${HINT_CHANNEL}', '')`;

/** Pauses the channels $1 in all processes, and notifies them. Locks the rows of the channels. */
export const insertPauses = (schema: string): string => `
  with changed as (
    insert into ${channelTable(schema)} (channel, paused) select named, true from pg_catalog.unnest($1::text[]) as named
    on conflict (channel) do update set paused = true
  )
  ${NOTIFY_PROCESSES}
`;

/** Ends the pauses of the channels $1 (null: all) and notifies all processes. Locks their rows. */
export const endPauses = (schema: string): string => `
  with changed as (
    update ${channelTable(schema)} set paused = false where paused and ($1::text[] is null or channel = any($1::text[]))
  )
  ${NOTIFY_PROCESSES}
`;
