import { channelTable } from '../storage/storage.sql.js';

/** Sets the statement timeout for the rest of the transaction to $1 milliseconds. */
export const limitStatements = `select set_config('statement_timeout', $1, true)`;

/**
 * Reads the usage of the notification queue, and whether this role may read the tables $1 and $2,
 * and $3; tables may be missing. Columns are texts, because the application may have replaced pg's
 * type parsers. Locks nothing.
 */
export const readServer = `
  select pg_notification_queue_usage()::text as queue_usage, coalesce(
    pg_catalog.has_table_privilege(to_regclass($1), 'select') and pg_catalog.has_table_privilege(to_regclass($2), 'select'), false
  )::text as is_readable, coalesce(pg_catalog.has_table_privilege(to_regclass($3), 'select'), false)::text as has_settings
`;

/** Reads the channels that are paused everywhere. Locks nothing. */
export const findPaused = (schema: string): string => `
  select channel from ${channelTable(schema)} where paused order by channel
`;
