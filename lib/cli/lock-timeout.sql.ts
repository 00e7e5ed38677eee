/** Limits the wait for locks in this transaction. */
export const setLockTimeout = "select set_config('lock_timeout', '2s', true)";
