import type { Writable } from 'node:stream';
import type { ClientBase, QueryResult } from 'pg';
import type { DataSource, QueryRunner } from 'typeorm';
import { isPgClient } from '../common/query-behind.js';
import { completeClaim, findAborted } from './claim.sql.js';
import { RepeatedStatements } from './repeated-statements.js';
import { isHeldElsewhere, parseRow, type StoredRow } from './stored-row.js';

/** Whatever stands in a row, as text: the application's type parsers are its own. */
const AS_TEXT = { getTypeParser: () => (value: string) => value } as const;

/** pg 8.21 and later can send queries without waiting for the answers to the ones before. */
type PipeliningClient = ClientBase & {
  pipeline?: boolean;
  readonly native?: unknown;
  readonly connection?: { readonly stream?: Partial<Pick<Writable, 'cork' | 'uncork'>> };
};

type Values = (string | null)[];

/**
 * A connection of the DataSource's pool, on which claims run one after the other. Owned by the worker that opened it;
 * ends with `release()`, or with `destroy()`, which lets the server undo what was not committed.
 */
export class ClaimSession {
  private failure: unknown;
  /** The last claim has found rows whose keys another process handles at the moment. */
  hasSkippedKeys = false;
  private readonly couldPipeline: boolean;
  /** Only of pg's own client. */
  readonly repeated: RepeatedStatements | undefined;
  private readonly noteFailure = (error: unknown): void => {
    this.failure ??= error ?? new Error('the connection ended');
  };

  private constructor(
    private readonly runner: QueryRunner,
    readonly client: PipeliningClient,
    private readonly schema: string,
  ) {
    this.repeated = isPgClient(client) ? new RepeatedStatements(client) : undefined;
    client.on('error', this.noteFailure);
    client.once('end', this.noteFailure);
    this.couldPipeline = client.native === undefined && client.pipeline === false;
    if (this.couldPipeline) client.pipeline = true;
  }

  static async open(dataSource: DataSource, schema: string): Promise<ClaimSession> {
    const runner = dataSource.driver.createQueryRunner('master'); // the DataSource's may carry a context
    try {
      const client = (await runner.connect()) as PipeliningClient; // of pg, whose pool TypeORM uses
      return new ClaimSession(runner, client, schema);
    } catch (error) {
      await runner.release();
      throw error;
    }
  }

  /** Statements sent together arrive in one round trip. */
  get isPipelined(): boolean {
    return this.client.pipeline === true;
  }

  /**
   * What is sent until the end of this turn leaves in one piece: a write to the socket costs as much as all else
   * that is done here for a short statement.
   */
  gatherWrites(): void {
    const stream = this.client.connection?.stream;
    if (stream?.cork === undefined) return;
    stream.cork();
    process.nextTick(() => stream.uncork?.());
  }

  /** Cursors cannot share a pipeline. */
  stopPipelining(): void {
    if (this.couldPipeline) this.client.pipeline = false;
  }

  /** Throws when the connection is lost, and with it the claim. */
  assertAlive(): void {
    if (this.failure !== undefined) throw this.failure;
  }

  /** Runs the statements of `beginClaim()`, and returns the rows of the one that has some. */
  async claim(sql: string, ordered: boolean): Promise<StoredRow[]> {
    this.repeated?.end();
    const results = await this.execute(sql);
    const claimed = results.find(({ command }) => command === 'SELECT');
    const found = (claimed?.rows ?? []) as Values[];
    const rows = ordered ? found.filter((values) => !isHeldElsewhere(values)) : found;
    this.hasSkippedKeys = rows.length < found.length;
    return rows.map((values) => parseRow(ordered ? values.slice(0, -1) : values));
  }

  /** `ending` goes ahead of it. */
  async complete(handled: readonly string[], ending = ''): Promise<void> {
    this.repeated?.end();
    await this.execute(ending + completeClaim(this.schema, handled));
  }

  /** The ids of the rows that were locked by a claim which did not end well. */
  async findSuspects(rows: readonly StoredRow[]): Promise<ReadonlySet<string>> {
    const lockers = new Set(rows.map(({ lastLocker }) => lastLocker).filter((locker) => locker !== '0'));
    if (lockers.size === 0) return new Set();
    const { rows: found } = await this.query<{ id: string }>(findAborted, [[...lockers]]);
    const aborted = new Set(found.map(({ id }) => id));
    return new Set(rows.filter(({ lastLocker }) => aborted.has(lastLocker)).map(({ id }) => id));
  }

  query<Row extends object>(sql: string, parameters: unknown[]): Promise<QueryResult<Row>> {
    return this.client.query<Row>(sql, parameters);
  }

  /** Gives the connection back to the pool, with nothing open. */
  async release(): Promise<void> {
    this.detach();
    if (this.failure === undefined) await this.runner.release();
    else await this.destroy(this.failure);
  }

  /** Gives it up: the server undoes the transaction, and everything of the claim can be claimed again. */
  async destroy(cause: unknown): Promise<void> {
    this.detach();
    const runner = this.runner as QueryRunner & { releasePostgresConnection(error?: unknown): Promise<void> };
    await runner.releasePostgresConnection(cause instanceof Error ? cause : new Error(String(cause)));
  }

  private async execute(text: string): Promise<readonly QueryResult[]> {
    const results: unknown = await this.client.query({ text, rowMode: 'array', types: AS_TEXT });
    return (Array.isArray(results) ? results : [results]) as readonly QueryResult[]; // of each statement
  }

  private detach(): void {
    this.client.off('error', this.noteFailure);
    this.client.off('end', this.noteFailure);
    this.stopPipelining();
  }
}
