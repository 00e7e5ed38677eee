import { notificationTable, processTable } from '../storage/storage.sql.js';

/** Whether this role may read the table $1 (quoted); false without that table. Locks nothing. */
export const canRead = `
  select coalesce(pg_catalog.has_table_privilege(to_regclass($1)::oid, 'select'), false)::text as can_read
`;

/**
 * Reads the listeners of the processes that were seen within the last minute, by channel. A process
 * without listeners is a row without a channel, so no row means that no process is known. Skips
 * rows of another form than `{"channel": ["listener"]}`. Locks nothing.
 */
export const readLiveListeners = (schema: string): string => `
  select distinct c.channel, l.listener
  from ${processTable(schema)} as p
    left join lateral pg_catalog.jsonb_each(p.listeners) as c(channel, names) on true
    left join lateral pg_catalog.jsonb_array_elements_text(
      case when pg_catalog.jsonb_typeof(c.names) = 'array' then c.names else '[]'::jsonb end
    ) as l(listener) on true
  where p.seen_at > clock_timestamp() - interval '1 minute' and p.seen_at < clock_timestamp() + interval '1 minute'
    and pg_catalog.jsonb_typeof(p.listeners) = 'object'
`;

/** Whether a process has this listener; the parameter holds `{"channel": ["listener"]}` of all. */
export const isLive = (parameter: number, channel: string, listener: string): string =>
  `coalesce(($${parameter}::jsonb -> ${channel}) ? ${listener}, false)`;

/**
 * Counts the pending notifications of the channels $1 by listeners that no process has; $2 holds
 * the listeners of all processes. Reads the first $3 rows of each channel by the index
 * `(channel, available_at, id)`: rows that no process handles end up first. Locks nothing.
 */
export const findUnhandledRows = (schema: string): string => `
  select n.channel, waiting.listener, count(*)::text as count
  from pg_catalog.unnest($1::text[]) as channels(channel)
    cross join lateral (
      select n.channel, n.listeners, n.handled_by from ${notificationTable(schema)} as n
      where n.channel = channels.channel order by n.available_at, n.id limit $3::bigint
    ) as n
    cross join lateral pg_catalog.unnest(n.listeners) as waiting(listener)
  where not waiting.listener = any(n.handled_by) and not ${isLive(2, 'n.channel', 'waiting.listener')}
  group by 1, 2 order by 1, 2 limit 20
`;
