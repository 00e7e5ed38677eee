/** For this transaction: who waits longer for a table's lock learns that, instead of waiting for ever. */
export const limitLockWait = "select set_config('lock_timeout', '5s', true)";
