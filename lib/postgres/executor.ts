import { types } from 'node:util';
import type { EntityManager, QueryRunner } from 'typeorm';
import { PgPubSubError, describeValue } from '../common/errors.js';
import type { SqlExecutor } from '../common/sql-executor.js';

/** The way of a call's statements to the server. */
export interface Route {
  /**
   * `'pool'`: each statement runs on a free connection of the pool, in a transaction of its own. `'transaction'`: all run
   * in the session of one query runner. `'foreign'`: a proxy, or an object of another library, which may look up the
   * transaction of its caller with each call.
   */
  readonly kind: 'pool' | 'transaction' | 'foreign';
  readonly executor: SqlExecutor;
  /**
   * Stands for the pool or the session: statements of calls with the same one go one after the other, and may be
   * shared. `undefined`: this call shares with no other.
   */
  readonly session: object | undefined;
  /** The EntityManager that the executor is, or that a proxy stands for. */
  readonly manager: EntityManager | undefined;
}

/**
 * Returns the route of what was handed over: DataSource, Repository and QueryRunner are routed by their EntityManager.
 * Throws `INVALID_ARGUMENT` for what cannot run SQL.
 */
export function resolveRoute(given: SqlExecutor): Route {
  assertExecutor(given);
  const executor = entityManagerOf(given) ?? given;
  const manager = isEntityManager(executor) ? executor : undefined;
  if (manager === undefined || types.isProxy(executor))
    return { kind: 'foreign', executor, session: undefined, manager };
  const { queryRunner } = manager;
  return queryRunner === undefined
    ? { kind: 'pool', executor, session: manager, manager }
    : { kind: 'transaction', executor, session: queryRunner, manager };
}

/** The query runner of a route whose transaction is open. */
export const openRunnerOf = ({ manager }: Route): QueryRunner | undefined =>
  manager?.queryRunner?.isTransactionActive ? manager.queryRunner : undefined;

function entityManagerOf(given: SqlExecutor): EntityManager | undefined {
  if (types.isProxy(given) || !('manager' in given)) return undefined;
  return isEntityManager(given.manager) ? given.manager : undefined;
}

/** The mark that TypeORM leaves on its objects, so that those of another copy of it are recognised. */
const MARK = '@instanceof';
const ENTITY_MANAGER = Symbol.for('EntityManager');

export const isEntityManager = (value: unknown): value is EntityManager =>
  typeof value === 'object' && value !== null && MARK in value && value[MARK] === ENTITY_MANAGER;

function assertExecutor(given: unknown): void {
  if (typeof given === 'object' && given !== null && 'query' in given && typeof given.query === 'function')
    return;
  throw new PgPubSubError(
    'INVALID_ARGUMENT',
    `expected "manager" to be an EntityManager, QueryRunner, Repository or DataSource, got ${describeValue(given)}. ` +
      'Leave it out to send outside of a transaction.',
  );
}
