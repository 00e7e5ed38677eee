/** Is this a server that only follows another? Takes no locks. */
export const readRecovery = 'select pg_is_in_recovery() as standby';
