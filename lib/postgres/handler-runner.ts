import type { DataSource, EntityManager, QueryRunner } from 'typeorm';
import type { HandlerStatements } from './handler-statements.js';

/** Members of TypeORM's `PostgresQueryRunner` that are not public. */
interface PostgresRunner extends QueryRunner {
  isTransactionActive: boolean;
  isReleased: boolean;
  transactionDepth: number;
  manager: EntityManager;
}

type RunnerClass = new (driver: unknown, mode: 'master') => PostgresRunner;
type HandlerRunnerClass = new (driver: unknown, statements: HandlerStatements) => PostgresRunner;

/**
 * Creates the query runner of a handler, with its own manager, on the connection of the claim. For
 * TypeORM its transaction is already open, so that transactions of the handler become savepoints.
 */
export function createHandlerRunner(dataSource: DataSource, statements: HandlerStatements): QueryRunner {
  const HandlerRunner = handlerRunnerClass(dataSource);
  const runner = new HandlerRunner(dataSource.driver, statements);
  runner.manager = dataSource.createEntityManager(runner);
  runner.manager.query = queryInHandler;
  return runner;
}

/** Makes TypeORM load lazy relations of the handler's entities on a connection of their own. */
export function endHandlerRunner(runner: QueryRunner): void {
  (runner as PostgresRunner).isReleased = true;
}

/** Runs `manager.query()`; after the handler's end, rejects with an error that names it. */
function queryInHandler(this: EntityManager, ...args: Parameters<EntityManager['query']>): Promise<never> {
  // no deadline: a statement of the handler, whose call is limited
  if (this.queryRunner?.isReleased) return this.queryRunner.query(...args) as Promise<never>; // rejects
  const manager = Object.getPrototypeOf(this) as EntityManager;
  // no deadline: a statement of the handler, whose call is limited
  return manager.query.apply(this, args) as Promise<never>; // TypeORM declares any
}

/** Classes by driver and by TypeORM's class; DataSources share one, which V8 compiles once. */
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
      private readonly statements: HandlerStatements,
    ) {
      super(driver, 'master');
      this.isTransactionActive = true;
      this.transactionDepth = 1;
    }

    /** Returns the guarded client, except to TypeORM itself, which connects in `query()`. */
    override connect(): Promise<unknown> {
      return Promise.resolve(this.isSending ? this.statements : this.statements.client);
    }

    override query(...args: Parameters<QueryRunner['query']>): Promise<never> {
      return this.statements.track(() => {
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
      return this.statements.track(() => super.stream(...args));
    }

    /** Does nothing: the claim owns the connection. */
    override release(): Promise<void> {
      return Promise.resolve();
    }

    override async startTransaction(...args: Parameters<QueryRunner['startTransaction']>): Promise<void> {
      const refusal = this.statements.refuseNested();
      if (refusal) throw refusal;
      await super.startTransaction(...args);
    }

    override async commitTransaction(): Promise<void> {
      if (this.transactionDepth <= 1) throw this.statements.refuseEnd();
      await super.commitTransaction();
    }

    override async rollbackTransaction(): Promise<void> {
      if (this.transactionDepth <= 1) throw this.statements.refuseEnd();
      await super.rollbackTransaction();
    }
  };
}
