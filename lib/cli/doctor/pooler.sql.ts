/** The process that runs the statement: another one than the connection was told, behind a pooler. */
export const readBackend = 'select pg_backend_pid()::text as pid';
