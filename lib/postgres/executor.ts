import { types } from 'node:util';
import type { EntityManager, QueryRunner } from 'typeorm';
import { PgPubSubError, describeValue } from '../common/errors.js';
import type { SqlExecutor } from '../common/sql-executor.js';

/** The route of a call's statements to the server. */
export interface Route {
  /**
   * `'pool'`: each statement runs on a free connection of the pool, in its own transaction.
   * `'transaction'`: all statements run in the session of one query runner. `'foreign'`: a proxy or
   * an object of another library, which may look up the caller's transaction at each call.
   */
  readonly kind: 'pool' | 'transaction' | 'foreign';
  readonly executor: SqlExecutor;
  /**
   * The pool or the session: statements of calls with the same one are sent in sequence, and may be
   * shared. `undefined`: the call shares with no other.
   */
  readonly session: object | undefined;
  /** The EntityManager that is the executor, or that a proxy represents. */
  readonly manager: EntityManager | undefined;
}

/**
 * Returns the route of an executor: DataSource, Repository and QueryRunner are routed by their
 * EntityManager. Throws `INVALID_ARGUMENT` for an object that cannot run SQL.
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

/** Returns the route's query runner if its transaction is open. */
export const openRunnerOf = ({ manager }: Route): QueryRunner | undefined =>
  manager?.queryRunner?.isTransactionActive ? manager.queryRunner : undefined;

function entityManagerOf(given: SqlExecutor): EntityManager | undefined {
  if (types.isProxy(given) || !('manager' in given)) return undefined;
  return isEntityManager(given.manager) ? given.manager : undefined;
}

/** TypeORM's marker on its objects, which identifies those of another copy of TypeORM too. */
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
