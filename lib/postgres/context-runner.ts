import type { DataSource, QueryRunner } from 'typeorm';
import { CONTEXT, contextUnlessSet, isWrite, setLocal } from './context.sql.js';
import { isPgClient, sendWithPrefix } from './prefixed-query.js';

const NOTHING = '{}';

/**
 * Installs the module's `context` for triggers. The context is set at the start of every
 * transaction that TypeORM opens, and sent with every statement that writes outside of one. The
 * setting ends with the transaction, so that no other user of the pooled session reads it.
 */
export function installContext(dataSource: DataSource, context: () => object): void {
  const create = dataSource.createQueryRunner.bind(dataSource);
  const contextJson = () => JSON.stringify(context() ?? {});
  dataSource.createQueryRunner = (mode) => {
    const runner = create(mode);
    setInTransactions(runner, contextJson);
    sendWithStatements(runner, contextJson);
    return runner;
  };
}

function setInTransactions(runner: QueryRunner, contextJson: () => string): void {
  const start = runner.startTransaction.bind(runner);
  runner.startTransaction = async (isolation) => {
    const json = runner.isTransactionActive ? NOTHING : contextJson(); // may throw, so call it before the transaction starts
    await start(isolation);
    // no deadline: a part of the caller's transaction, limited by its statement_timeout
    if (json !== NOTHING) await runner.query(setLocal(CONTEXT, json));
  };
}

/**
 * Replaces `query()` of the client that `connect()` returns, on which the runner's statements run.
 * All other members are those of pg's client, because others call `connect()` too.
 *
 * no deadline: statements and connections of the caller, limited by the DataSource's own options
 */
function sendWithStatements(runner: QueryRunner, contextJson: () => string): void {
  const connect = runner.connect.bind(runner);
  runner.connect = async (): Promise<unknown> => {
    const client: unknown = await connect();
    if (!isPgClient(client)) return client;
    const query = (...args: readonly unknown[]) => {
      const [text, values] = args;
      if (typeof text !== 'string' || args.length > 2 || runner.isTransactionActive || !isWrite(text))
        return client.query(...args);
      const json = contextJson();
      if (json === NOTHING) return client.query(...args);
      return sendWithPrefix(client, [{ text: contextUnlessSet(json) }], { text, values });
    };
    return new Proxy(client, {
      get: (target, property) => (property === 'query' ? query : Reflect.get(target, property, target)),
    });
  };
}
