import type { QueryRunner } from 'typeorm';
import { PgPubSubError } from '../common/errors.js';
import { isServerError } from '../common/server-error.js';
import { rowsOf } from '../postgres/empty-search-path.js';
import { giveSchemaLock, setLockTimeout, readSchemaLockHolder, takeSchemaLock } from './catalog.sql.js';

/** Longer than the schema changes of most starts: processes that start together wait in turn. */
export const SCHEMA_LOCK_TIMEOUT_MS = 60_000;

/** The session that holds the lock, as visible to this role. */
interface LockHolder {
  readonly pid: string | null;
  readonly application: string | null;
  readonly role: string | null;
}

const LOCK_NOT_AVAILABLE = '55P03';

/**
 * Takes the schema lock for the runner's session: one process at a time changes the schema. Throws
 * `TIMED_OUT` when the lock is not free in time. Any role that may connect can take it.
 *
 * no deadline: the server limits it
 */
export async function lockSchema(runner: QueryRunner, timeoutMs: number): Promise<void> {
  await runner.startTransaction();
  try {
    await runner.query(setLockTimeout, [String(timeoutMs)]);
    await runner.query(takeSchemaLock);
    await runner.commitTransaction(); // the lock stays
  } catch (error) {
    await runner.rollbackTransaction();
    if (!isServerError(error) || error.code !== LOCK_NOT_AVAILABLE) throw error;
    const [holder] = await rowsOf<LockHolder>(runner, readSchemaLockHolder);
    throw lockTimedOut(timeoutMs, holder, error);
  }
}

/**
 * Releases the lock; a lost connection holds none.
 *
 * no deadline: a part of a migration or of the start, whose limits are the application's
 */
export async function unlockSchema(runner: QueryRunner): Promise<void> {
  await runner.query(giveSchemaLock).catch(() => undefined);
}

const lockTimedOut = (timeoutMs: number, holder: LockHolder | undefined, cause: unknown) =>
  new PgPubSubError(
    'TIMED_OUT',
    `expected the schema lock to be released within ${timeoutMs} ms, got ${describeHolder(holder)}. ` +
      'Start again when that process is done. If it does not belong to this application, ' +
      `end its session: select pg_terminate_backend(${holder?.pid ?? '…'}).`,
    { cause },
  );

const describeHolder = (holder: LockHolder | undefined): string =>
  holder === undefined
    ? 'a lock that was released just now'
    : `a lock that process ${holder.pid ?? 'of a prepared transaction'} holds (application "${holder.application ?? ''}", role "${holder.role ?? ''}")`;
