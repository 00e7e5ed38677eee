/** Reads whether the server is a standby. Locks nothing. */
export const readRecovery = 'select pg_is_in_recovery() as standby';
