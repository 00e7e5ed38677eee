import { channelTable } from '../storage/storage.sql.js';

/** Ends a question that takes longer, for the rest of the transaction; $1 milliseconds. */
export const limitStatements = `select set_config('statement_timeout', $1, true)`;

/**
 * How full the server's queue of notifications is, and whether this role may look into the tables $1 and $2, and
 * into $3; they may not be there. As texts: the application's type parsers are its own. Locks nothing.
 */
export const readServer = `
  select pg_notification_queue_usage()::text as queue_usage, coalesce(
    pg_catalog.has_table_privilege(to_regclass($1), 'select') and pg_catalog.has_table_privilege(to_regclass($2), 'select'), false
  )::text as is_readable, coalesce(pg_catalog.has_table_privilege(to_regclass($3), 'select'), false)::text as has_settings
`;

/** The channels that are paused everywhere. Locks nothing. */
export const findPaused = (schema: string): string => `
  select channel from ${channelTable(schema)} where paused order by channel
`;
