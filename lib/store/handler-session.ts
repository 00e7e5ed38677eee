import type { DataSource, EntityManager, QueryRunner } from 'typeorm';
import { PgPubSubError } from '../common/errors.js';
import type { JsonObject } from '../common/json.js';
import { isPgClient } from '../common/query-behind.js';
import type { ClaimSession } from './claim-session.js';
import { carry } from './claim.sql.js';

const SAVEPOINT = 'savepoint pgpubsub_handler';
const RELEASE = 'release savepoint pgpubsub_handler';
const ROLLBACK = 'rollback to savepoint pgpubsub_handler';

/** Not `rollback to`, by which nested transactions end. */
const ENDS_TRANSACTION =
  /^(?:\s|--[^\n]*(?:\n|$)|\/\*(?:[^*]|\*(?!\/))*\*\/)*(?:commit|end|abort|prepare\s+transaction|rollback(?!\s+(?:work\s+|transaction\s+)?to\b))\b/i;

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
  /** What triggers find, if a handler has said so. */
  private carried: string | undefined;

  /** `contextOfHandler`: what triggers are to find while the handler runs that asks; nothing: what the claim has set. */
  constructor(
    readonly session: ClaimSession,
    private readonly contextOfHandler: () => JsonObject | undefined,
  ) {}

  /** What is to be sent ahead of a handler's first statement: from now on it is the handler's. */
  take(): readonly string[] {
    const context = this.contextOfHandler();
    const commands = this.begin();
    const carried = context && JSON.stringify(context);
    if (carried === undefined || carried === this.carried) return commands;
    this.carried = carried;
    return [...commands, carry(carried)];
  }

  /** For handlers that interleave: what triggers find is the claim's. */
  async openShared(): Promise<void> {
    await this.send(this.begin());
  }

  async open(): Promise<void> {
    await this.send(this.take());
  }

  private begin(): readonly string[] {
    const { state } = this;
    this.state = 'used';
    if (state === 'fresh') return [];
    return state === 'none' ? [SAVEPOINT] : [RELEASE, SAVEPOINT]; // within another one statements would be slower
  }

  private async send(commands: readonly string[]): Promise<void> {
    if (commands.length > 0) await this.session.client.query(commands.join('; '));
  }

  /** Fails when the transaction is broken behind it. */
  async assertIntact(): Promise<void> {
    await this.session.client.query(`${RELEASE}; ${SAVEPOINT}`);
    this.state = 'fresh';
  }

  async undo(): Promise<void> {
    await this.session.client.query(ROLLBACK);
    this.state = 'fresh';
    this.carried = undefined; // undone as well
  }

  /**
   * Ahead of the statements that complete the claim, or empty. Behind a savepoint they would leave a MultiXact in each
   * row instead of the transaction that locked it: dearer, and who has died with it could not be told.
   */
  get ending(): string {
    return this.state === 'none' ? '' : `${RELEASE}; `;
  }

  async end(): Promise<void> {
    if (this.state !== 'none') await this.session.client.query(RELEASE);
    this.state = 'none';
  }
}

/** Of handlers that interleave: opened by the first of them that sends a statement. */
export interface SharedSavepoint {
  opened?: Promise<void>;
}

/**
 * What a handler has of its claim's transaction: an EntityManager of its own, that ends with the handler. Handlers
 * that never touch it cost nothing.
 */
export class HandlerSession {
  private own: EntityManager | undefined;
  private opened: Promise<void> | undefined;
  /** Settles with its last statement, awaited by the handler or not. */
  private sent: Promise<unknown> | undefined;
  private failedStatement: { readonly error: unknown } | undefined;
  private isOver = false;

  /** `shared`: several handlers interleave behind one savepoint, which nobody of them may undo. */
  constructor(
    private readonly dataSource: DataSource,
    private readonly savepoint: ClaimSavepoint,
    private readonly shared: SharedSavepoint | undefined,
    private readonly handler: string,
  ) {}

  get manager(): EntityManager {
    return (this.own ??= this.createManager());
  }

  /** It has sent statements. */
  get isUsed(): boolean {
    return this.opened !== undefined;
  }

  /**
   * For TypeORM: the claim's client, whose first statement takes the savepoint along, where it is the handler's alone.
   * One message more to the server, and one answer more, would cost as much as a short statement.
   */
  private get connection(): unknown {
    const { client, repeated } = this.savepoint.session;
    if (repeated === undefined || !isPgClient(client)) return client;
    const query = (...args: readonly unknown[]): unknown => {
      const [text, values] = args;
      if (typeof text !== 'string') return client.query(...args); // a cursor
      const commands = this.opened || this.shared ? [] : this.savepoint.take();
      if (!this.shared) this.opened ??= Promise.resolve();
      return repeated.send(commands, text, values);
    };
    return Object.create(client, { query: { value: query } });
  }

  /** The handler has returned. Throws the error that broke the transaction, when it has swallowed it. */
  async succeed(): Promise<void> {
    await this.end();
    if (this.failedStatement === undefined) return;
    const { error } = this.failedStatement;
    if (this.shared) throw error; // it has broken the transaction of all
    await this.savepoint.assertIntact().catch(() => Promise.reject(error));
  }

  /** The handler has failed: what it wrote is undone, and nothing else. */
  async fail(): Promise<void> {
    await this.end();
    if (this.isUsed && this.shared === undefined) await this.savepoint.undo();
  }

  /** What it did not await is its own all the same, and not to be found behind the next savepoint. */
  private async end(): Promise<void> {
    this.isOver = true;
    if (this.sent) await this.sent;
  }

  private createManager(): EntityManager {
    const runner = this.dataSource.driver.createQueryRunner('master');
    const send = runner.query.bind(runner) as (...args: unknown[]) => Promise<unknown>;
    const query = (...args: unknown[]): Promise<unknown> =>
      ENDS_TRANSACTION.test(String(args[0])) ? Promise.reject(this.ended()) : this.send(() => send(...args));
    const stream = runner.stream.bind(runner);
    Object.assign(runner, {
      databaseConnection: this.connection,
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
      if (depth() <= 1) throw this.ended();
      await end();
    };
    return {
      startTransaction: async (isolation) => {
        if (this.shared)
          throw this.misused(
            'not to nest transactions while others interleave with it',
            'a nested one',
            INTERLEAVE_NOT,
          );
        await start(isolation);
      },
      commitTransaction: () => guarded(commit),
      rollbackTransaction: () => guarded(rollback),
    };
  }

  private send(statement: () => Promise<unknown>): Promise<unknown> {
    if (this.isOver)
      return Promise.reject(
        this.misused(
          'to use its manager while it runs',
          'a statement after its end',
          'Await everything it does.',
        ),
      );
    const result =
      this.shared || !isPgClient(this.savepoint.session.client) ? this.sendBehind(statement) : statement();
    const settled = result.catch((error: unknown) => {
      this.failedStatement ??= { error };
    });
    this.sent = Promise.all([this.sent, settled]);
    return result;
  }

  /** Where pg can pipeline, both are on their way at once: had the savepoint failed, so would the statement. */
  private sendBehind(statement: () => Promise<unknown>): Promise<unknown> {
    const { session } = this.savepoint;
    if (session.isPipelined) session.gatherWrites();
    const opened = this.open();
    return session.isPipelined ? statement() : opened.then(statement);
  }

  /** Cursors cannot share a pipeline: until the end of the claim there is none. */
  private async stream<T>(open: () => Promise<T>): Promise<T> {
    if (this.shared)
      throw this.misused('not to stream while others interleave with it', 'a stream', INTERLEAVE_NOT);
    await this.open();
    this.savepoint.session.stopPipelining();
    return open();
  }

  private open(): Promise<void> {
    if (this.opened) return this.opened;
    this.opened =
      this.shared === undefined
        ? this.savepoint.open()
        : (this.shared.opened ??= this.savepoint.openShared());
    this.opened.catch(() => undefined); // the statement behind it fails as well, and is awaited
    return this.opened;
  }

  private ended(): PgPubSubError {
    return this.misused(
      'to leave its transaction to the claim',
      'a commit or a rollback',
      'Return to have its writes committed, throw to have them undone.',
    );
  }

  private misused(expected: string, got: string, way: string): PgPubSubError {
    return new PgPubSubError('INVALID_ARGUMENT', `expected ${this.handler} ${expected}, got ${got}. ${way}`);
  }
}

const INTERLEAVE_NOT = 'Leave "concurrency" of the listener at 1.';
