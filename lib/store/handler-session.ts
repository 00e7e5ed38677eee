import type { DataSource, EntityManager, QueryRunner } from 'typeorm';
import { PgPubSubError } from '../common/errors.js';
import type { ClaimSession } from './claim-session.js';

const SAVEPOINT = 'savepoint pgpubsub_handler';
const RELEASE = 'release savepoint pgpubsub_handler';
const ROLLBACK = 'rollback to savepoint pgpubsub_handler';

/** What is known of the claim's one savepoint. */
type SavepointState =
  /** there is none */
  | 'none'
  /** set, and nothing has happened since: the next handler can use it */
  | 'fresh'
  /** set, and a handler has worked behind it */
  | 'used';

/**
 * The savepoint of a claim, under which handlers work one after the other: what the current one has written can be
 * undone without the others. Owned by the claim.
 */
export class ClaimSavepoint {
  private state: SavepointState = 'none';

  constructor(readonly session: ClaimSession) {}

  /** Sent ahead of a handler's first statement; it costs no round trip of its own where pg can pipeline. */
  async open(): Promise<void> {
    if (this.state === 'fresh') {
      this.state = 'used';
      return;
    }
    // released first: savepoints within savepoints make every later statement slower
    const sql = this.state === 'none' ? SAVEPOINT : `${RELEASE}; ${SAVEPOINT}`;
    this.state = 'used';
    await this.session.client.query(sql);
  }

  /** Fails when the transaction is broken behind it. */
  async assertIntact(): Promise<void> {
    await this.session.client.query(`${RELEASE}; ${SAVEPOINT}`);
    this.state = 'fresh';
  }

  async undoIfUsed(): Promise<void> {
    if (this.state === 'used') await this.undo();
  }

  async undo(): Promise<void> {
    await this.session.client.query(ROLLBACK);
    this.state = 'fresh';
  }
}

/**
 * What a handler has of its claim's transaction: an EntityManager of its own, that ends with the handler. Handlers
 * that never touch it cost nothing.
 */
export class HandlerSession {
  private own: EntityManager | undefined;
  private opened: Promise<void> | undefined;
  private hasFailedStatement = false;
  private isOver = false;

  /** `shared`: several handlers interleave behind one savepoint, which nobody of them may undo. */
  constructor(
    private readonly dataSource: DataSource,
    private readonly savepoint: ClaimSavepoint,
    private readonly shared: { opened?: Promise<void> } | undefined,
    private readonly handler: string,
  ) {}

  get manager(): EntityManager {
    return (this.own ??= this.createManager());
  }

  /** It has sent statements. */
  get isUsed(): boolean {
    return this.opened !== undefined;
  }

  /** The handler has returned. Throws when it has swallowed an error that broke the transaction. */
  async succeed(): Promise<void> {
    this.isOver = true;
    if (!this.hasFailedStatement) return;
    if (this.shared)
      throw this.misused(
        'not to go on after a statement has failed while others interleave with it ("concurrency")',
      );
    await this.savepoint.assertIntact();
  }

  /** The handler has failed: what it wrote is undone, and nothing else. */
  async fail(): Promise<void> {
    this.isOver = true;
    if (this.isUsed && this.shared === undefined) await this.savepoint.undo();
  }

  private createManager(): EntityManager {
    const runner = this.dataSource.driver.createQueryRunner('master');
    const send = runner.query.bind(runner) as (...args: unknown[]) => Promise<unknown>;
    const query = (...args: unknown[]): Promise<unknown> => this.send(() => send(...args));
    const stream = runner.stream.bind(runner);
    Object.assign(runner, {
      databaseConnection: this.savepoint.session.client,
      isTransactionActive: true,
      transactionDepth: 1, // so that transactions of the handler become savepoints
      query,
      release: async () => undefined, // it is the claim's
      stream: (...args: Parameters<QueryRunner['stream']>) => this.stream(() => stream(...args)),
      ...this.guards(runner),
    });
    const manager = this.dataSource.createEntityManager(runner);
    return Object.assign(runner, { manager }).manager;
  }

  /** A handler may nest transactions, and not end the one it is in. */
  private guards(runner: QueryRunner): Partial<QueryRunner> {
    const depth = () => (runner as unknown as { transactionDepth: number }).transactionDepth;
    const start = runner.startTransaction.bind(runner);
    const commit = runner.commitTransaction.bind(runner);
    const rollback = runner.rollbackTransaction.bind(runner);
    const guarded = async (end: () => Promise<void>) => {
      if (depth() <= 1)
        throw this.misused('to leave its transaction to the claim, got a commit or a rollback');
      await end();
    };
    return {
      startTransaction: async (isolation) => {
        if (this.shared)
          throw this.misused('not to nest transactions while others interleave with it ("concurrency")');
        await start(isolation);
      },
      commitTransaction: () => guarded(commit),
      rollbackTransaction: () => guarded(rollback),
    };
  }

  private send(statement: () => Promise<unknown>): Promise<unknown> {
    if (this.isOver)
      return Promise.reject(this.misused('to use its manager while it runs, got a statement after its end'));
    const { session } = this.savepoint;
    if (session.isPipelined) session.gatherWrites();
    const opened = this.open();
    // Where pg can pipeline, both are on their way at once: had the savepoint failed, so would the statement.
    const result = session.isPipelined ? statement() : opened.then(statement);
    return result.catch((error: unknown) => {
      this.hasFailedStatement = true;
      throw error;
    });
  }

  /** Cursors cannot share a pipeline: until the end of the claim there is none. */
  private async stream<T>(open: () => Promise<T>): Promise<T> {
    if (this.shared) throw this.misused('not to stream while others interleave with it ("concurrency")');
    await this.open();
    this.savepoint.session.stopPipelining();
    return open();
  }

  private open(): Promise<void> {
    if (this.opened) return this.opened;
    this.opened =
      this.shared === undefined ? this.savepoint.open() : (this.shared.opened ??= this.savepoint.open());
    this.opened.catch(() => undefined); // the statement behind it fails as well, and is awaited
    return this.opened;
  }

  private misused(expected: string): PgPubSubError {
    return new PgPubSubError(
      'INVALID_ARGUMENT',
      `expected ${this.handler} ${expected}. Await everything it does.`,
    );
  }
}
