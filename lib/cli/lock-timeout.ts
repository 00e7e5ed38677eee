import type { DataSource, QueryRunner } from 'typeorm';
import { setLockTimeout } from './lock-timeout.sql.js';

/**
 * For what needs a lock for a moment: of our tables, of what the catalog says of them, or to commit a NOTIFY. Rejects when
 * it is not to be had: a migration or a commit that is stuck is what commands are to tell of, not what they wait for.
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
    if (runner.isTransactionActive) await runner.rollbackTransaction().catch(() => undefined); // why it failed is known
    await runner.release();
  }
}
