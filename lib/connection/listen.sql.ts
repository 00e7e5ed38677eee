import { quoteIdentifier } from '../common/sql-identifier.js';

/**
 * Keeps the server from ending a session for being silent, which is what this one is for. The setting exists
 * since PostgreSQL 14. Takes no locks.
 */
export const disableIdleSessionTimeout = `
  select set_config('idle_session_timeout', '0', false)
  where current_setting('server_version_num')::int >= 140000
`;

/**
 * Reads which backend serves the session and the number of channels that it listens to. Answered
 * from the backend's own memory; takes no locks.
 */
export const heartbeat = `
  select pg_backend_pid()::text as pid, (select count(*) from pg_listening_channels())::text as channels
`;

/** Ends every LISTEN of the session. */
export const unlistenAll = 'unlisten *';

/**
 * One round trip and one transaction for any number of changes: LISTEN takes effect at its commit, without locks
 * on tables.
 */
export const changeListens = (added: Iterable<string>, removed: Iterable<string>): string =>
  [
    ...Array.from(added, (channel) => `listen ${quoteIdentifier(channel)}`),
    ...Array.from(removed, (channel) => `unlisten ${quoteIdentifier(channel)}`),
  ].join('; ');

/** Sends the test notification: $1 channel, $2 text. */
export const probe = 'select pg_notify($1, $2)';

/**
 * Where a session has arrived: its process, database and server. Compared between the LISTEN
 * connection and the pool when nothing sent by one reaches the other; as text, because each has its
 * own type parsers.
 */
export const identify = `
  select pg_backend_pid()::text as pid, current_database()::text as database,
    pg_postmaster_start_time()::text as server, pg_is_in_recovery()::text as standby
`;
