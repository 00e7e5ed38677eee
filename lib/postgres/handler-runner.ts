import type { ClientBase } from 'pg';
import type { DataSource, EntityManager, QueryRunner } from 'typeorm';

export interface HandlerRunnerOptions {
  /** The client of the claim, as the handler sees it. */
  readonly client: ClientBase;
  /** Counts a call of the handler until it is answered. */
  readonly track: <T>(call: () => Promise<T>) => Promise<T>;
  /** Throws when the handler is over. */
  readonly assertOpen: () => void;
  /** The error for ending the transaction. */
  readonly refuseEnd: () => Error;
  /** The error for a nested transaction, where handlers interleave. */
  readonly refuseNested: () => Error | undefined;
}

/**
 * Creates the query runner of a handler, with a manager of its own, on the connection of the claim. TypeORM takes it for
 * one with an open transaction, so that transactions of the handler become savepoints.
 */
export function createHandlerRunner(dataSource: DataSource, options: HandlerRunnerOptions): QueryRunner {
  const runner = dataSource.driver.createQueryRunner('master');
  const { client, track } = options;
  const query = runner.query.bind(runner) as (...args: unknown[]) => Promise<unknown>;
  const stream = runner.stream.bind(runner);
  Object.assign(runner, {
    databaseConnection: client,
    isTransactionActive: true,
    transactionDepth: 1,
    query: (...args: unknown[]) => track(() => query(...args)),
    stream: (...args: Parameters<QueryRunner['stream']>) => track(() => stream(...args)),
    release: async () => undefined, // the connection is the claim's
    ...guards(runner, options),
  });
  const manager = dataSource.createEntityManager(runner);
  return Object.assign(runner, { manager: refusingLate(manager, options) });
}

/** Tells TypeORM that the handler is over: it loads the lazy relations of its entities on a connection of their own. */
export function endHandlerRunner(runner: QueryRunner): void {
  Object.assign(runner, { isReleased: true });
}

/** A handler may nest transactions, and not end the one it is in. */
function guards(
  runner: QueryRunner,
  { refuseEnd, refuseNested }: HandlerRunnerOptions,
): Partial<QueryRunner> {
  const depth = () => (runner as unknown as { readonly transactionDepth: number }).transactionDepth;
  const start = runner.startTransaction.bind(runner);
  const guarded = (end: () => Promise<void>) => async () => {
    if (depth() <= 1) throw refuseEnd();
    await end();
  };
  return {
    startTransaction: async (isolation) => {
      const refusal = refuseNested();
      if (refusal) throw refusal;
      await start(isolation);
    },
    commitTransaction: guarded(runner.commitTransaction.bind(runner)),
    rollbackTransaction: guarded(runner.rollbackTransaction.bind(runner)),
  };
}

/** TypeORM would say of a query after the end no more than that its runner was released. */
function refusingLate(manager: EntityManager, { assertOpen }: HandlerRunnerOptions): EntityManager {
  const query = manager.query.bind(manager);
  return Object.assign(manager, {
    query: async (...args: Parameters<EntityManager['query']>): Promise<unknown> => {
      assertOpen();
      return query(...args);
    },
  });
}
