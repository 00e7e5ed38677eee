import { deadLetterTable, notificationTable } from '../schema/storage.sql.js';

/**
 * What waits, and what is dead, by channel. Of each channel at most $1 rows are looked at (null: all of them), so that
 * the question costs no more when much has piled up; the channels themselves are found by skipping along the index
 * `(channel, available_at, id)`. Of dead letters, which have no such index, at most $1 are looked at in all. `where` is a condition on a row `n`, its parameters begin at $2. Locks nothing.
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
      (extract(epoch from clock_timestamp() - min(created_at)) * 1000)::text as oldest_age_ms,
      (extract(epoch from clock_timestamp() - min(available_at)) * 1000)::text as overdue_ms
    from (
      select n.available_at, n.attempts, n.created_at from ${notificationTable(schema)} as n
      where n.channel = coalesce(waiting_channels.channel, dead.channel) and ${where}
      order by n.available_at limit $1::bigint
    ) as rows
  ) as counted
  order by channel
`;
