import type { Writable } from 'node:stream';
import type { ClientBase, QueryResult } from 'pg';
import type { DataSource, QueryRunner } from 'typeorm';
import { ROUND_TRIP_MS, withDeadline } from '../common/deadline.js';
import { messageOf } from '../common/errors.js';
import { requestCancel } from './cancel.js';
import { createPlainRunner, destroyRunner } from './driver.js';
import type { GuardedValues } from './handler.sql.js';
import { AS_TEXT } from './pg-client.js';
import { isSuspect, suspectPool, unlessPoolEnds } from './pool-guard.js';
import { isPgClient, sendWithPrefix, type Command, type Statement } from './prefixed-query.js';
import { PreparedStatementCache } from './prepared-statement-cache.js';

/** Members of pg's client that are not declared. */
type PgPoolClient = ClientBase & {
  /** pg 8.23 and later can send statements without waiting for the answers to the ones before. */
  pipeline?: boolean;
  readonly native?: unknown;
  readonly connection?: { readonly stream?: Partial<Pick<Writable, 'cork' | 'uncork'>> };
  readonly processID?: number | null;
  /** pg 8.21 and later: 'I' outside of a transaction, 'T' inside, 'E' after an error. */
  getTransactionStatus?(): string | null;
};

/** The guarded settings at the begin of a claim. */
export interface FoundSettings {
  readonly values: GuardedValues;
  /** The context that the claim had set for triggers, as JSON: one of the settings. */
  readonly context: string;
}

/**
 * A connection of the DataSource's pool on which claims run one after the other. Statements of the library have a limit
 * in time of 10 s each; statements of handlers are limited by their handler. Owned by the worker that opened it; ends
 * with `release()`, or with `destroy()`, which lets the server undo what was not committed.
 */
export class ClaimConnection {
  /** The guarded settings as an earlier claim has found them; only of a session that is certainly this one. */
  settings: FoundSettings | undefined;
  private failure: unknown;
  private isOver = false;
  private tainted = false;
  private readonly couldPipeline: boolean;
  private readonly prepared: PreparedStatementCache | undefined;
  private readonly noteFailure = (error: unknown): void => {
    this.failure ??= error ?? new Error('the connection ended');
  };

  private constructor(
    readonly dataSource: DataSource,
    private readonly runner: QueryRunner,
    private readonly pooled: PgPoolClient,
  ) {
    this.prepared = isPgClient(pooled) ? new PreparedStatementCache(pooled) : undefined;
    pooled.on('error', this.noteFailure);
    pooled.once('end', this.noteFailure);
    this.couldPipeline = pooled.native === undefined && pooled.pipeline === false;
    if (this.couldPipeline) pooled.pipeline = true;
  }

  /** Rejects with `TIMED_OUT` when the pool gives no connection within 10 s. Drops those that are likely to be lost. */
  static async open(dataSource: DataSource): Promise<ClaimConnection> {
    for (;;) {
      const connection = await this.openAny(dataSource);
      if (!isSuspect(dataSource, connection.pooled)) return connection;
      await connection.destroy(new Error('closed: another connection of the pool got no answer'));
    }
  }

  private static async openAny(dataSource: DataSource): Promise<ClaimConnection> {
    const runner = createPlainRunner(dataSource);
    let isLate = false;
    // no deadline: limited by withDeadline() below; a late connection is given back
    const connect = async (): Promise<PgPoolClient> => {
      const client = (await runner.connect()) as PgPoolClient;
      if (isLate) await runner.release(); // nobody waits for it any more
      return client;
    };
    try {
      const what = 'the pool to give a connection for a claim';
      const opening = unlessPoolEnds(dataSource, connect);
      const client = await withDeadline(opening, { ms: ROUND_TRIP_MS, what });
      return new ClaimConnection(dataSource, runner, client);
    } catch (error) {
      isLate = true;
      throw error;
    }
  }

  /** pg's client, as it is: what is sent on it is neither limited nor guarded. */
  get client(): ClientBase {
    return this.pooled;
  }

  /** The server's process of this session, as the server (or a pooler in front of it) announced it. */
  get processId(): number | null {
    return this.pooled.processID ?? null;
  }

  /** Whether the connection is lost. */
  get isLost(): boolean {
    return this.failure !== undefined;
  }

  /** Throws when the connection is lost, and with it the claim. */
  assertUsable(): void {
    if (this.failure !== undefined) throw this.failure;
  }

  /** Whether the server is known to be outside of a transaction. */
  get hasNoTransaction(): boolean {
    return this.pooled.getTransactionStatus?.() === 'I';
  }

  /** Whether a handler may have left settings that outlive the commit: no other claim may run on the connection. */
  get isTainted(): boolean {
    return this.tainted;
  }

  /** Lets the connection be closed after its claim, instead of being given back to the pool. */
  taint(): void {
    this.tainted = true;
  }

  /** Sends a statement of a handler behind commands; `onPrefixError` is called when one of them failed. */
  send(
    prefix: readonly Command[],
    statement: Statement,
    onPrefixError: (error: unknown) => void,
  ): Promise<unknown> {
    return this.prepared
      ? this.prepared.send(prefix, statement, onPrefixError)
      : sendWithPrefix(this.pooled, prefix, statement, onPrefixError);
  }

  /**
   * Runs statements of the library in one round trip, with the rows of each as texts. `ends`: they end the transaction,
   * and with it the names of prepared statements.
   */
  async roundTrip(text: string, what: string, { ends = false } = {}): Promise<readonly QueryResult[]> {
    if (ends) this.prepared?.end();
    // no deadline: limited() below ends the connection when there is no answer
    const sent = this.pooled.query({ text, rowMode: 'array', types: AS_TEXT });
    const results: unknown = await this.limited(sent, what, ends);
    return (Array.isArray(results) ? results : [results]) as readonly QueryResult[]; // one of each statement
  }

  /** Runs one statement of the library. */
  statement<Row extends object>(sql: string, parameters: unknown[], what: string): Promise<QueryResult<Row>> {
    // no deadline: limited() ends the connection when there is no answer
    const sent = this.pooled.query<Row>(sql, parameters);
    return this.limited(sent, what, false);
  }

  /**
   * Lets what is sent until the end of this turn leave in one piece, where statements do not wait for each other: a write
   * to the socket costs both sides as much as all else that is done for a short statement.
   */
  gatherWrites(): void {
    const stream = this.pooled.pipeline ? this.pooled.connection?.stream : undefined;
    if (stream?.cork === undefined) return;
    stream.cork();
    process.nextTick(() => stream.uncork?.());
  }

  /** Cancels the statement in progress; resolves when the server has passed the request on. */
  cancel(): Promise<void> {
    return requestCancel(this.pooled);
  }

  /** Cursors and COPY cannot share a pipeline. */
  stopPipelining(): void {
    if (this.couldPipeline) this.pooled.pipeline = false;
  }

  /** Gives the connection back to the pool, with nothing open. Idempotent. */
  async release(): Promise<void> {
    if (this.tainted)
      this.failure ??= new Error('closed: a handler may have left settings on the connection');
    if (this.failure !== undefined) return this.destroy(this.failure);
    if (this.isOver) return;
    this.end();
    await this.runner.release();
  }

  /** Ends the connection: the server undoes the transaction, and all rows of the claim can be claimed again. Idempotent. */
  async destroy(cause: unknown): Promise<void> {
    if (this.isOver) return;
    this.failure ??= cause;
    this.end();
    await destroyRunner(this.runner, cause instanceof Error ? cause : new Error(messageOf(cause)));
  }

  /** Ends a connection that gets no answer. Others of the pool that are as old are not trusted either. */
  async giveUp(cause: Error): Promise<void> {
    suspectPool(this.dataSource);
    await this.destroy(cause);
  }

  /** Cancels on the server a statement that is late, unless it commits: that may wait for the commit to be durable. */
  private limited<T>(sent: PromiseLike<T>, what: string, ends: boolean): Promise<T> {
    const onLate = (error: Error) => {
      if (!ends) void this.cancel();
      void this.giveUp(error);
    };
    return withDeadline(sent, { ms: ROUND_TRIP_MS, what, onLate });
  }

  private end(): void {
    this.isOver = true;
    this.pooled.off('error', this.noteFailure);
    this.pooled.off('end', this.noteFailure);
    this.stopPipelining();
  }
}
