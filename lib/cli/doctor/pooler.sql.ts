/** Reads the server process of the statement; behind a pooler it differs from the announced one. */
export const readBackend = 'select pg_backend_pid()::text as pid';
