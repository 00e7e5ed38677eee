/** For this transaction: who would wait longer for a lock is told so. */
export const setLockTimeout = "select set_config('lock_timeout', '2s', true)";
