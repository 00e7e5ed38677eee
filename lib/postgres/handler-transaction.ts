import type { DataSource, EntityManager } from 'typeorm';
import type { Watchdog } from '../common/deadline.js';
import { PgPubSubError } from '../common/errors.js';
import { HandlerStatements, type InterleavedSavepoint } from './handler-statements.js';
import type { Savepoint } from './savepoint.js';

/** Parts that the calls of one listener in one claim share. */
export interface HandlerScope {
  readonly dataSource: DataSource;
  readonly savepoint: Savepoint;
  /** The name of the listener, for errors. */
  readonly handler: string;
  /** The time limit of one call, in milliseconds. */
  readonly timeoutMs: number | false;
  /** Aborted when the application closes and the time for its handlers to finish is over. */
  readonly shutdown: AbortSignal;
  readonly watchdog: Watchdog;
}

/**
 * The part of a claim's transaction that belongs to one handler call: a savepoint, an
 * EntityManager, a signal and a time limit, which end with the call. A handler that never uses its
 * manager sends nothing. Owned by the claim.
 */
export class HandlerTransaction {
  private statements: HandlerStatements | undefined;
  private abort: AbortController | undefined;
  /** The timeout error, set at the deadline. */
  private late: PgPubSubError | undefined;
  private isOver = false;

  constructor(
    private readonly scope: HandlerScope,
    private readonly shared?: InterleavedSavepoint,
  ) {}

  get manager(): EntityManager {
    if (this.statements === undefined) {
      const { dataSource, savepoint, handler } = this.scope;
      this.statements = new HandlerStatements(dataSource, savepoint, handler, this.shared);
      if (this.isOver) this.statements.end();
    }
    return this.statements.manager;
  }

  /** Aborted at the handler's deadline, and when the application closes. */
  get signal(): AbortSignal {
    const { timeoutMs, shutdown } = this.scope;
    if (timeoutMs === false) return shutdown;
    if (this.abort === undefined) {
      this.abort = new AbortController();
      if (shutdown.aborted || this.late) this.abort.abort(this.late ?? shutdown.reason);
      else if (!this.isOver) shutdown.addEventListener('abort', this, { once: true });
    }
    return this.abort.signal;
  }

  /** Handles the abort event of the shutdown signal. */
  handleEvent(): void {
    this.abort?.abort(this.scope.shutdown.reason);
  }

  /** Ends the handler at its deadline. Returns the timeout error. */
  timeOut(): Error {
    const { handler, timeoutMs } = this.scope;
    this.late = handlerTimeout(handler, Number(timeoutMs));
    this.end();
    this.abort?.abort(this.late);
    return this.late;
  }

  /**
   * Runs the handler. Rejects with the handler's error, with the error of a statement that broke
   * the transaction, or with `HANDLER_TIMEOUT`; the handler's writes are then undone, unless its
   * savepoint is shared. Statements that the handler did not await belong to it, too: they are
   * answered before the next handler runs.
   */
  async run(work: () => Promise<unknown>): Promise<void> {
    try {
      await this.limited(work().then(() => this.statements?.finish()));
      if (this.statements?.hasFailed) await this.statements.assertUnbroken();
    } catch (error) {
      if (this.statements !== undefined) await this.fail(this.statements);
      throw error;
    } finally {
      this.end();
    }
  }

  private limited(work: Promise<void>): Promise<void> {
    const { timeoutMs, watchdog } = this.scope;
    return timeoutMs === false ? work : watchdog.watch(work, timeoutMs, this);
  }

  private async fail(statements: HandlerStatements): Promise<void> {
    const answered = this.late === undefined ? statements.finish() : undefined;
    if (answered) await this.limited(answered).catch(() => undefined);
    if (this.late !== undefined) await statements.cancel(this.late);
    this.end();
    await statements.undo();
  }

  private end(): void {
    if (this.isOver) return;
    this.isOver = true;
    this.statements?.end();
    if (this.abort) this.scope.shutdown.removeEventListener('abort', this);
  }
}

const handlerTimeout = (handler: string, timeoutMs: number) =>
  new PgPubSubError(
    'HANDLER_TIMEOUT',
    `expected ${handler} to return within ${timeoutMs} ms, got no answer. ` +
      'Limit its slow calls (pass them "signal"), do less in one call, or raise "timeoutMs".',
  );
