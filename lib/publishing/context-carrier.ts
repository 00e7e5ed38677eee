import type { DataSource, QueryRunner } from 'typeorm';
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
      return carried === NOTHING ? client.query(...args) : queryWith(client, carried, text, values);
    };
    return new Proxy(client, {
      get: (target, property) => (property === 'query' ? query : Reflect.get(target, property, target)),
    });
  };
}

/** pg's connection: each call sends one message of the extended protocol, or, by `query`, a text of the simple one. */
interface Wire {
  readonly stream: { cork?(): void; uncork?(): void };
  parse(message: object): void;
  bind(message: object): void;
  execute(message: object): void;
}

/** pg's query: sends itself, and is told what comes back. */
interface PgQuery {
  text: string;
  requiresPreparation(): boolean;
  submit(wire: Wire): Error | null;
  handleRowDescription(message: unknown): void;
  handleDataRow(message: unknown): void;
  handleCommandComplete(message: unknown, wire: Wire): void;
  handleError(error: { position?: string | undefined }, wire: Wire): void;
}

type Settle = (error: Error | null, result: unknown) => void;

interface PgClient {
  readonly constructor: { readonly Query: new (text: string, values: unknown, settle: Settle) => PgQuery };
  query(...args: readonly unknown[]): unknown;
}

/** pg's own client, or one derived from it. That of pg-native sends its queries in another way. */
const isPgClient = (client: unknown): client is PgClient =>
  typeof client === 'object' &&
  client !== null &&
  'connection' in client &&
  typeof (client.connection as Partial<Wire> | null)?.parse === 'function' &&
  'Query' in client.constructor;

/**
 * The context and the statement in one round trip, which is one transaction: PostgreSQL begins it with the first
 * message and ends it where the client waits. An explicit transaction would take two round trips more, and commit
 * one that the caller has begun in SQL.
 */
function queryWith(client: PgClient, context: string, text: string, values: unknown): Promise<unknown> {
  return new Promise((resolve, reject) => {
    const settle: Settle = (error, result) => (error ? reject(error) : resolve(result));
    const query = new client.constructor.Query(text, values, settle);
    if (query.requiresPreparation()) sendBefore(query, context);
    else writeBefore(query, context);
    skipFirstResult(query);
    client.query(query);
  });
}

/** In the extended protocol, for statements with parameters: without a Sync, which would end the transaction. */
function sendBefore(query: PgQuery, context: string): void {
  const submit = query.submit.bind(query);
  query.submit = (wire) => {
    wire.stream.cork?.();
    try {
      wire.parse({ text: contextUnlessSet(CONTEXT, context) });
      wire.bind({});
      wire.execute({});
      return submit(wire);
    } finally {
      wire.stream.uncork?.();
    }
  };
}

/** In the simple protocol, for texts, which may hold several statements. */
function writeBefore(query: PgQuery, context: string): void {
  const before = `${contextUnlessSet(CONTEXT, context)};`; // positions count characters, not UTF-16 units
  query.text = before + query.text;
  const handleError = query.handleError.bind(query);
  query.handleError = (error, wire) => {
    if (error.position !== undefined)
      error.position = String(Number(error.position) - Array.from(before).length);
    handleError(error, wire);
  };
}

/** What comes back for the context is nobody's. */
function skipFirstResult(query: PgQuery): void {
  let isSkipped = false;
  const handleRowDescription = query.handleRowDescription.bind(query);
  const handleDataRow = query.handleDataRow.bind(query);
  const handleCommandComplete = query.handleCommandComplete.bind(query);
  query.handleRowDescription = (message) => isSkipped && handleRowDescription(message);
  query.handleDataRow = (message) => isSkipped && handleDataRow(message);
  query.handleCommandComplete = (message, wire) => {
    if (isSkipped) handleCommandComplete(message, wire);
    isSkipped = true;
  };
}
