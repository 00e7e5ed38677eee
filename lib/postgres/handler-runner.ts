import type { ClientBase } from 'pg';
import type { DataSource, EntityManager, QueryRunner } from 'typeorm';

/** The statements of a handler, as its query runner sends them. */
export interface HandlerOwner {
  /** The client of the claim, as the handler sees it. */
  readonly client: ClientBase;
  /** Sends a statement that is counted already. */
  query(text: string, values: unknown): Promise<unknown>;
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
  runner.manager.query = queryInHandler;
  return runner;
}

/**
 * Tells TypeORM that the handler is over: it then loads lazy relations of the handler's entities on a connection of their
 * own.
 */
export function endHandlerRunner(runner: QueryRunner): void {
  (runner as PostgresRunner).isReleased = true;
}

/** `manager.query()` of a handler. Of one that is over TypeORM would say no more than that its runner was released. */
function queryInHandler(this: EntityManager, ...args: Parameters<EntityManager['query']>): Promise<never> {
  // no deadline: a statement of the handler, whose call is limited
  if (this.queryRunner?.isReleased) return this.queryRunner.query(...args) as Promise<never>; // rejects
  const { query } = Object.getPrototypeOf(this) as EntityManager;
  // no deadline: a statement of the handler, whose call is limited
  return query.apply(this, args) as Promise<never>; // TypeORM declares any
}

/** By driver, and by TypeORM's class: what V8 has learned of the class holds for the DataSources to come. */
const classes = new WeakMap<object, HandlerRunnerClass>();

function handlerRunnerClass({ driver }: DataSource): HandlerRunnerClass {
  const known = classes.get(driver);
  if (known !== undefined) return known;
  const Runner = driver.createQueryRunner('master').constructor as RunnerClass;
  const HandlerRunner = classes.get(Runner) ?? createRunnerClass(Runner);
  classes.set(Runner, HandlerRunner).set(driver, HandlerRunner);
  return HandlerRunner;
}

function createRunnerClass(Runner: RunnerClass): HandlerRunnerClass {
  return class HandlerRunner extends Runner {
    private isSending = false;

    constructor(
      driver: unknown,
      private readonly owner: HandlerOwner,
    ) {
      super(driver, 'master');
      this.isTransactionActive = true;
      this.transactionDepth = 1;
    }

    /** TypeORM asks for its client at the start of `query()`; whoever else does gets the guarded one. */
    override connect(): Promise<unknown> {
      return Promise.resolve(this.isSending ? this.owner : this.owner.client);
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
  };
}
