import type { DataSource, QueryRunner } from 'typeorm';
import { isPgClient, queryBehind } from '../common/query-behind.js';
import { contextUnlessSet, isWrite, setLocal } from './publish.sql.js';

/** What triggers look at, and `notify()` likewise. */
export const CONTEXT = 'pgpubsub.context';

const NOTHING = '{}';

/**
 * The module's `context`, for triggers: set at the begin of every transaction that TypeORM opens, and sent along with
 * every statement that writes outside of one. Each ends with its transaction, so that no other user of the pooled
 * session finds it.
 */
export function carryContext(dataSource: DataSource, context: () => object): void {
  const create = dataSource.createQueryRunner.bind(dataSource);
  const resolve = () => JSON.stringify(context() ?? {});
  dataSource.createQueryRunner = (mode) => {
    const runner = create(mode);
    carryInTransactions(runner, resolve);
    carryInStatements(runner, resolve);
    return runner;
  };
}

function carryInTransactions(runner: QueryRunner, resolve: () => string): void {
  const start = runner.startTransaction.bind(runner);
  runner.startTransaction = async (isolation) => {
    const carried = runner.isTransactionActive ? NOTHING : resolve(); // may throw: before the begin
    await start(isolation);
    if (carried !== NOTHING) await runner.query(setLocal(CONTEXT, carried));
  };
}

/** Statements run on what `connect()` returns; others ask for it, too, so that it stays the client in all the rest. */
function carryInStatements(runner: QueryRunner, resolve: () => string): void {
  const connect = runner.connect.bind(runner);
  runner.connect = async (): Promise<unknown> => {
    const client: unknown = await connect();
    if (!isPgClient(client)) return client;
    const query = (...args: readonly unknown[]) => {
      const [text, values] = args;
      if (typeof text !== 'string' || args.length > 2 || runner.isTransactionActive || !isWrite(text))
        return client.query(...args);
      const carried = resolve();
      if (carried === NOTHING) return client.query(...args);
      return queryBehind(client, [{ text: contextUnlessSet(CONTEXT, carried) }], { text, values });
    };
    return new Proxy(client, {
      get: (target, property) => (property === 'query' ? query : Reflect.get(target, property, target)),
    });
  };
}
