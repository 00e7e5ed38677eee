import type { DataSource, QueryRunner } from 'typeorm';
import { setLockTimeout } from './lock-timeout.sql.js';

/**
 * Runs `work` in a transaction with a lock timeout of 2 s, so that commands never wait for the
 * stuck migration or commit that they diagnose. Rejects when a lock is not available in time.
 *
 * no deadline: a command, which a person runs and ends; locks are limited to 2 s
 */
export async function withLockTimeout<T>(
  dataSource: DataSource,
  work: (runner: QueryRunner) => Promise<T>,
): Promise<T> {
  const runner = dataSource.createQueryRunner();
  try {
    await runner.startTransaction();
    await runner.query(setLockTimeout);
    const result = await work(runner);
    await runner.commitTransaction();
    return result;
  } finally {
    if (runner.isTransactionActive) await runner.rollbackTransaction().catch(() => undefined); // the first error counts
    await runner.release();
  }
}
