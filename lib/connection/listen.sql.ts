import { quoteIdentifier } from '../common/sql-identifier.js';

/**
 * Keeps the server from ending an idle session: this one idles until a notification arrives. The
 * setting exists since PostgreSQL 14. Takes no locks.
 */
export const disableIdleSessionTimeout = `
  select set_config('idle_session_timeout', '0', false)
  where current_setting('server_version_num')::int >= 140000
`;

/**
 * Reads the backend of the session and the number of channels that it listens to, from the
 * backend's own memory. Takes no locks.
 */
export const heartbeat = `
  select pg_backend_pid()::text as pid, (select count(*) from pg_listening_channels())::text as channels
`;

/** Ends every LISTEN of the session. */
export const unlistenAll = 'unlisten *';

/**
 * Changes any number of LISTENs in one round trip and one transaction. They take effect at its
 * commit, without locks on tables.
 */
export const changeListens = (added: Iterable<string>, removed: Iterable<string>): string =>
  [
    ...Array.from(added, (channel) => `listen ${quoteIdentifier(channel)}`),
    ...Array.from(removed, (channel) => `unlisten ${quoteIdentifier(channel)}`),
  ].join('; ');

/** Sends the test notification: $1 channel, $2 text. */
export const probe = 'select pg_notify($1, $2)';

/**
 * Identifies the process, database and server of a session, to compare the LISTEN connection with
 * the pool when no notification passes between them. Returns text: both have their own type
 * parsers.
 */
export const identify = `
  select pg_backend_pid()::text as pid, current_database()::text as database,
    pg_postmaster_start_time()::text as server, pg_is_in_recovery()::text as standby
`;
