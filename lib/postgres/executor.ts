import { types } from 'node:util';
import type { EntityManager, QueryRunner } from 'typeorm';
import { PgPubSubError, describeValue } from '../common/errors.js';
import type { SqlExecutor } from '../common/sql-executor.js';

/**
 * The EntityManager that shares the session of what was handed over: DataSource, Repository and QueryRunner each have
 * one. Other executors are themselves. Throws `INVALID_ARGUMENT` for what cannot run SQL.
 */
export function resolveExecutor(executor: SqlExecutor): SqlExecutor {
  assertExecutor(executor);
  if (types.isProxy(executor) || !('manager' in executor)) return executor;
  return isEntityManager(executor.manager) ? executor.manager : executor;
}

/** The query runner an executor is bound to; `undefined` for the pool, and for executors of other libraries. */
export const queryRunnerOf = (executor: SqlExecutor): QueryRunner | undefined =>
  isEntityManager(executor) ? executor.queryRunner : undefined;

/** Each statement runs on whichever connection of the pool is free, in a transaction of its own. */
export const isPool = (executor: SqlExecutor): boolean =>
  isOneSession(executor) && isEntityManager(executor) && executor.queryRunner === undefined;

/**
 * Does it mean the same session (or the pool) whoever calls it? A proxy, or an object of another library, may look up
 * the transaction of its caller with each call: one object, many transactions.
 */
export const isOneSession = (executor: SqlExecutor): boolean =>
  isEntityManager(executor) && !types.isProxy(executor);

const ENTITY_MANAGER = Symbol.for('EntityManager');

/** Whether TypeORM says so of a value: its marks are the same in all copies of the package. */
export const isEntityManager = (value: unknown): value is EntityManager =>
  typeof value === 'object' &&
  value !== null &&
  '@instanceof' in value &&
  value['@instanceof'] === ENTITY_MANAGER;

function assertExecutor(given: unknown): void {
  if (typeof given === 'object' && given !== null && 'query' in given && typeof given.query === 'function')
    return;
  throw new PgPubSubError(
    'INVALID_ARGUMENT',
    `expected "manager" to be an EntityManager, QueryRunner, Repository or DataSource, got ${describeValue(given)}. ` +
      'Leave it out to send outside of a transaction.',
  );
}
