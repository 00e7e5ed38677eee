import type { ClientBase } from 'pg';
import type { DataSource, EntityManager, QueryRunner } from 'typeorm';
import type { Statement } from './prefixed-query.js';

/** The statements of a handler, as its query runner sends them. */
export interface HandlerOwner {
  /** The client of the claim, as the handler sees it. */
  readonly client: ClientBase;
  /** Sends a statement that is counted already. */
  send(statement: Statement): Promise<unknown>;
  /** Counts a call of the handler until it is answered; rejects when the handler is over. */
  track<T>(call: () => Promise<T>): Promise<T>;
  /** The error for what comes after the end of the handler. */
  late(): Error;
  /** The error for ending the transaction. */
  refuseEnd(): Error;
  /** The error for a nested transaction, where handlers interleave. */
  refuseNested(): Error | undefined;
}

/** Members of TypeORM's `PostgresQueryRunner` that are not public. */
interface PostgresRunner extends QueryRunner {
  isTransactionActive: boolean;
  isReleased: boolean;
  transactionDepth: number;
  manager: EntityManager;
}

type RunnerClass = new (driver: unknown, mode: 'master') => PostgresRunner;
type HandlerRunnerClass = new (driver: unknown, owner: HandlerOwner) => PostgresRunner;

/**
 * Creates the query runner of a handler, with a manager of its own, on the connection of the claim. TypeORM takes it for
 * one with an open transaction, so that transactions of the handler become savepoints.
 */
export function createHandlerRunner(dataSource: DataSource, owner: HandlerOwner): QueryRunner {
  const HandlerRunner = handlerRunnerClass(dataSource);
  const runner = new HandlerRunner(dataSource.driver, owner);
  runner.manager = dataSource.createEntityManager(runner);
  return runner;
}

/**
 * Tells TypeORM that the handler is over: it then loads lazy relations of the handler's entities on a connection of their
 * own. Of a query it would say no more than that its runner was released.
 */
export function endHandlerRunner(runner: QueryRunner, owner: HandlerOwner): void {
  Object.assign(runner, { isReleased: true });
  runner.manager.query = () => Promise.reject(owner.late());
}

const classes = new WeakMap<DataSource['driver'], HandlerRunnerClass>();

function handlerRunnerClass({ driver }: DataSource): HandlerRunnerClass {
  const known = classes.get(driver);
  if (known !== undefined) return known;
  const Runner = driver.createQueryRunner('master').constructor as RunnerClass;
  class HandlerRunner extends Runner {
    override isTransactionActive = true;
    override transactionDepth = 1;
    private isSending = false;
    private readonly sender: Pick<ClientBase, 'query'>;

    constructor(
      driver: unknown,
      private readonly owner: HandlerOwner,
    ) {
      super(driver, 'master');
      this.sender = { query: (text: string, values: unknown) => owner.send({ text, values }) } as never; // as TypeORM calls it
    }

    /** TypeORM asks for its client at the start of `query()`; whoever else does gets the guarded one. */
    override connect(): Promise<unknown> {
      return Promise.resolve(this.isSending ? this.sender : this.owner.client);
    }

    override query(...args: Parameters<QueryRunner['query']>): Promise<never> {
      return this.owner.track(() => {
        this.isSending = true;
        try {
          // no deadline: a statement of the handler, whose call is limited
          return super.query(...args) as Promise<never>; // TypeORM declares any
        } finally {
          this.isSending = false;
        }
      });
    }

    override stream(...args: Parameters<QueryRunner['stream']>): ReturnType<QueryRunner['stream']> {
      // no deadline: a statement of the handler, whose call is limited
      return this.owner.track(() => super.stream(...args));
    }

    /** The connection is the claim's. */
    override release(): Promise<void> {
      return Promise.resolve();
    }

    override async startTransaction(...args: Parameters<QueryRunner['startTransaction']>): Promise<void> {
      const refusal = this.owner.refuseNested();
      if (refusal) throw refusal;
      await super.startTransaction(...args);
    }

    override async commitTransaction(): Promise<void> {
      if (this.transactionDepth <= 1) throw this.owner.refuseEnd();
      await super.commitTransaction();
    }

    override async rollbackTransaction(): Promise<void> {
      if (this.transactionDepth <= 1) throw this.owner.refuseEnd();
      await super.rollbackTransaction();
    }
  }
  classes.set(driver, HandlerRunner);
  return HandlerRunner;
}
