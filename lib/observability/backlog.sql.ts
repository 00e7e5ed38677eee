import { deadLetterTable, notificationTable } from '../storage/storage.sql.js';

/**
 * Counts the stored notifications and the dead letters of each channel. Reads at most $1 rows of a
 * channel (null: all rows), so that a long backlog does not make the query slower. Finds the
 * channels by skipping along the index `(channel, available_at, id)`. Dead letters have no such
 * index: at most $1 of them are read in total. `where` is a condition on a row `n`; its parameters
 * begin at $2. Locks nothing.
 *
 * Ages are computed from finite times only, because PostgreSQL 16 and older cannot subtract
 * infinite ones. A row that is available at `infinity` is waiting and never due. A row that is
 * available at `-infinity`, or that was sent for a time in the past, has been due since it was
 * stored.
 */
export const readBacklog = (schema: string, where: string): string => `
  with recursive channels as (
    (select channel from ${notificationTable(schema)} order by channel limit 1)
    union all
    select (
      select n.channel from ${notificationTable(schema)} as n where n.channel > c.channel order by n.channel limit 1
    )
    from channels as c where c.channel is not null
  ), dead as (
    select channel, count(*) as dead
    from (select n.channel from ${deadLetterTable(schema)} as n where ${where} limit $1::bigint) as letters group by channel
  )
  select channel, waiting, due, retrying, oldest_age_ms, overdue_ms, coalesce(dead.dead, 0)::text as dead
  from (select channel from channels where channel is not null) as waiting_channels
  full join dead using (channel)
  cross join lateral (
    select count(*)::text as waiting,
      (count(*) filter (where available_at <= clock_timestamp()))::text as due,
      (count(*) filter (where attempts > 0))::text as retrying,
      (extract(epoch from clock_timestamp() - min(created_at) filter (where isfinite(created_at))) operator(pg_catalog.*) 1000)::text
        as oldest_age_ms,
      (extract(epoch from clock_timestamp() - min(due_since) filter (where isfinite(due_since))) operator(pg_catalog.*) 1000)::text
        as overdue_ms
    from (
      select n.available_at, n.attempts, n.created_at, greatest(n.available_at, n.created_at) as due_since
      from ${notificationTable(schema)} as n
      where n.channel = coalesce(waiting_channels.channel, dead.channel) and ${where}
      order by n.available_at limit $1::bigint
    ) as rows
  ) as counted
  order by channel
`;
