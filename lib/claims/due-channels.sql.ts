import { quoteTextArray } from '../common/sql-identifier.js';
import { notificationTable } from '../storage/storage.sql.js';
import { PLANNER_SETTINGS } from './claim.sql.js';

/**
 * Reads the milliseconds until the first row of each channel is due; zero: it is due now. Omits
 * channels without a row that is ever due. One probe of the index `(channel, available_at, id)` per
 * channel, independent of the number of rows; locks no row. One round trip, and one transaction for
 * the settings.
 */
export const readDueChannels = (schema: string, channels: readonly string[]): string =>
  [
    'begin isolation level read committed read only',
    ...PLANNER_SETTINGS.map((name) => `set local ${name} = off`),
    `select wanted.channel, case when first.available_at > statement_timestamp()
        then extract(epoch from first.available_at - statement_timestamp()) operator(pg_catalog.*) 1000 else 0 end as ms
      from pg_catalog.unnest(${quoteTextArray(channels)}) as wanted(channel)
      cross join lateral (
        select n.available_at from ${notificationTable(schema)} as n
        where n.channel = wanted.channel and n.available_at < 'infinity'
        order by n.available_at, n.id limit 1
      ) as first`,
    'commit',
  ].join('; ');
