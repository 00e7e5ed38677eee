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
  /** pg 8.23 and later: whether statements are sent without waiting for earlier answers. */
  pipeline?: boolean;
  readonly native?: unknown;
  readonly connection?: { readonly stream?: Partial<Pick<Writable, 'cork' | 'uncork'>> };
  readonly processID?: number | null;
  /** pg 8.21 and later: 'I' outside of a transaction, 'T' inside, 'E' after an error. */
  getTransactionStatus?(): string | null;
};

export interface FoundSettings {
  readonly values: GuardedValues;
  /** The context that the claim had set for triggers, as JSON; one of `values`, too. */
  readonly context: string;
}

/**
 * A connection of the DataSource's pool on which claims run one after the other. Each statement of
 * the library is limited to 10 s; statements of handlers are limited by their handler. Owned by the
 * worker that opened it. Ends with `release()`, or with `destroy()`, after which the server rolls
 * back what was not committed.
 */
export class ClaimConnection {
  /** The guarded settings of an earlier claim, if it certainly used the same session. */
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

  /** Takes a connection of the pool; closes suspect ones. Rejects with `TIMED_OUT` after 10 s. */
  static async open(dataSource: DataSource): Promise<ClaimConnection> {
    for (;;) {
      const connection = await this.openAny(dataSource);
      if (!isSuspect(dataSource, connection.pooled)) return connection;
      await connection.destroy(new Error('closed because another connection of the pool received no answer'));
    }
  }

  private static async openAny(dataSource: DataSource): Promise<ClaimConnection> {
    const runner = createPlainRunner(dataSource);
    let isLate = false;
    // no deadline: limited by withDeadline() below; a late connection returns to the pool
    const connect = async (): Promise<PgPoolClient> => {
      const client = (await runner.connect()) as PgPoolClient;
      if (isLate) await runner.release(); // the caller has stopped waiting
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

  /** pg's client without guards: statements sent on it have no time limit. */
  get client(): ClientBase {
    return this.pooled;
  }

  /** The process id of this session, as announced by the server or by a pooler in front of it. */
  get processId(): number | null {
    return this.pooled.processID ?? null;
  }

  get isLost(): boolean {
    return this.failure !== undefined;
  }

  /** Throws when the connection, and the claim with it, is lost. */
  assertUsable(): void {
    if (this.failure !== undefined) throw this.failure;
  }

  /** Whether the server is known to be outside of a transaction. */
  get hasNoTransaction(): boolean {
    return this.pooled.getTransactionStatus?.() === 'I';
  }

  /**
   * Whether a handler may have left settings that outlive the commit; no other claim may follow.
   */
  get isTainted(): boolean {
    return this.tainted;
  }

  /** Causes the connection to be closed after its claim, instead of being returned to the pool. */
  taint(): void {
    this.tainted = true;
  }

  /** Sends commands and a handler's statement; `onPrefixError` is called when a command failed. */
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
   * Runs statements of the library in one round trip. Returns a result per statement, with all
   * values as text. `ends`: the statements end the transaction, and with it the names of prepared
   * statements.
   */
  async roundTrip(text: string, what: string, { ends = false } = {}): Promise<readonly QueryResult[]> {
    if (ends) this.prepared?.end();
    // no deadline: limited() below ends the connection when there is no answer
    const sent = this.pooled.query({ text, rowMode: 'array', types: AS_TEXT });
    const results: unknown = await this.limited(sent, what, ends);
    return (Array.isArray(results) ? results : [results]) as readonly QueryResult[];
  }

  /** Runs one statement of the library. Values pass through the application's type parsers. */
  statement<Row extends object>(sql: string, parameters: unknown[], what: string): Promise<QueryResult<Row>> {
    // no deadline: limited() ends the connection when there is no answer
    const sent = this.pooled.query<Row>(sql, parameters);
    return this.limited(sent, what, false);
  }

  /**
   * Combines everything that is sent until the end of this turn into one write, if the client
   * pipelines: a write to the socket costs both sides as much as all other work for a short
   * statement.
   */
  gatherWrites(): void {
    const stream = this.pooled.pipeline ? this.pooled.connection?.stream : undefined;
    if (stream?.cork === undefined) return;
    stream.cork();
    process.nextTick(() => stream.uncork?.());
  }

  /** Cancels the statement in progress; resolves when the server has processed the request. */
  cancel(): Promise<void> {
    return requestCancel(this.pooled);
  }

  /** Stops pipelining: cursors and COPY cannot share a pipeline. */
  stopPipelining(): void {
    if (this.couldPipeline) this.pooled.pipeline = false;
  }

  /** Returns the connection to the pool; no transaction may be open. Idempotent. */
  async release(): Promise<void> {
    if (this.tainted)
      this.failure ??= new Error('closed because a handler may have left settings on the connection');
    if (this.failure !== undefined) return this.destroy(this.failure);
    if (this.isOver) return;
    this.end();
    await this.runner.release();
  }

  /**
   * Closes the connection: the server rolls back, and the rows can be claimed again. Idempotent.
   */
  async destroy(cause: unknown): Promise<void> {
    if (this.isOver) return;
    this.failure ??= cause;
    this.end();
    await destroyRunner(this.runner, cause instanceof Error ? cause : new Error(messageOf(cause)));
  }

  /** Closes a connection without an answer. All that the pool opened before become suspect. */
  async giveUp(cause: Error): Promise<void> {
    suspectPool(this.dataSource);
    await this.destroy(cause);
  }

  /** Cancels a late statement, except a commit, which may be waiting to become durable. */
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
