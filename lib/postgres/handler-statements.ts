import type { ClientBase } from 'pg';
import type { DataSource, EntityManager, QueryRunner } from 'typeorm';
import { settlesWithin } from '../common/deadline.js';
import { PgPubSubError, isPgPubSubError } from '../common/errors.js';
import { createHandlerClient, type Submittable } from './handler-client.js';
import { createHandlerRunner, endHandlerRunner } from './handler-runner.js';
import type { Statement } from './prefixed-query.js';
import type { Savepoint } from './savepoint.js';
import { NO_EFFECTS, type StatementEffects } from './statement-effects.js';

/** How long the server may take to confirm that it has cancelled a statement, in milliseconds. */
const CANCEL_MS = 5_000;

/** Handlers that interleave behind one savepoint: what one of them wrote cannot be undone alone. */
export interface InterleavedSavepoint {
  isOpen: boolean;
}

/**
 * The statements of one call of a handler, on the connection of its claim: guards them, counts them until they are
 * answered, and undoes them. Created with the first use of the manager; owned by the handler's transaction.
 */
export class HandlerStatements {
  private readonly runner: QueryRunner;
  private guarded: ClientBase | undefined;
  private hasSavepoint = false;
  /** The number of calls that are not answered. */
  private pending = 0;
  private whenAnswered: (() => void) | undefined;
  private submitted: Submittable | undefined;
  /** A query object that was closed here. */
  private closed: Submittable | undefined;
  /** Until a cursor, a stream or a COPY is sent. */
  private opening: Promise<void> | undefined;
  private failure: { readonly error: unknown } | undefined;
  /** `finishing`: the handler has returned, and its statements are still on their way. */
  private state: 'open' | 'finishing' | 'over' = 'open';

  constructor(
    dataSource: DataSource,
    private readonly savepoint: Savepoint,
    private readonly handler: string,
    private readonly shared: InterleavedSavepoint | undefined,
  ) {
    this.runner = createHandlerRunner(dataSource, this);
  }

  get manager(): EntityManager {
    return this.runner.manager;
  }

  /** The client of the claim, as the handler sees it. */
  get client(): ClientBase {
    return (this.guarded ??= createHandlerClient(this.savepoint.connection.client, this));
  }

  /** Waits for the statements that the handler did not await, if there are any, and closes a cursor that it left open. */
  finish(): Promise<void> | undefined {
    if (this.state === 'open') this.state = 'finishing';
    this.closeSubmitted();
    return this.pending > 0 ? this.answered() : undefined;
  }

  /** Ends what the server does for a handler that is late. Without an answer in time the connection is given up. */
  async cancel(cause: Error): Promise<void> {
    if (this.pending === 0) return;
    const { connection } = this.savepoint;
    const answered = this.answered();
    this.closeSubmitted();
    await connection.cancel();
    if (!(await settlesWithin(answered, CANCEL_MS))) await connection.giveUp(cause);
  }

  /** Throws the error of a statement that the handler has swallowed, when it has broken the transaction. */
  async assertUnbroken(): Promise<void> {
    if (this.failure === undefined) return;
    const { error } = this.failure;
    if (this.shared) throw error; // it has broken the transaction of all
    await this.savepoint.renew().catch(() => Promise.reject(error));
  }

  /** Whether a statement has failed. */
  get hasFailed(): boolean {
    return this.failure !== undefined;
  }

  /** Undoes what the handler wrote, unless it shares its savepoint. */
  async undo(): Promise<void> {
    if (this.hasSavepoint && !this.savepoint.connection.isLost) await this.savepoint.undo();
  }

  /** Rejects all statements from now on. */
  end(): void {
    this.state = 'over';
    endHandlerRunner(this.runner);
  }

  /** Resolves when no statement is on its way. */
  private answered(): Promise<void> {
    return new Promise((resolve) => {
      this.whenAnswered = resolve;
    });
  }

  private closeSubmitted(): void {
    const { submitted } = this;
    if (submitted === undefined) return;
    this.closed = submitted;
    const closing: unknown = submitted.destroy ? submitted.destroy() : submitted.close?.();
    if (closing instanceof Promise) closing.catch(() => undefined);
  }

  /** Counts a call until it is answered. Rejects what comes when the handler is over. */
  track<T>(call: () => Promise<T>): Promise<T> {
    const isOpen = this.state === 'open' || (this.state === 'finishing' && this.pending > 0);
    if (!isOpen) return Promise.reject(this.late());
    this.pending++;
    const result = call();
    result.then(this.noteAnswer, this.noteFailure);
    return result;
  }

  private readonly noteAnswer = (): void => {
    this.pending--;
    if (this.pending === 0) this.whenAnswered?.();
  };

  /** A statement that was refused before it was sent has broken nothing. */
  private readonly noteFailure = (error: unknown): void => {
    if (!isPgPubSubError(error)) this.failure ??= { error };
    this.noteAnswer();
  };

  /** As TypeORM sends a statement, which is counted already. */
  query(text: string, values: unknown): Promise<unknown> {
    return this.send({ text, values });
  }

  /** Sends a statement that is counted already. */
  send(statement: Statement): Promise<unknown> {
    const { opening } = this;
    if (opening) return opening.then(() => this.send(statement)); // pg cannot leave a pipeline with statements in it
    try {
      const effects = this.check(statement.text);
      if (this.shared) this.savepoint.connection.gatherWrites();
      const commands = this.takeSavepoint();
      this.savepoint.note(effects);
      return this.savepoint.send(commands, statement);
    } catch (error) {
      return Promise.reject(error);
    }
  }

  private takeSavepoint(): ReturnType<Savepoint['take']> {
    const { savepoint, shared } = this;
    if (this.hasSavepoint || shared?.isOpen) return [];
    if (shared) shared.isOpen = true;
    else this.hasSavepoint = true;
    return savepoint.take(shared !== undefined);
  }

  /** Throws, before anything is sent, for a statement that would end the transaction or outlive the handler. */
  private check(text: unknown): StatementEffects {
    const effects = typeof text === 'string' ? this.savepoint.effectsOf(text) : NO_EFFECTS;
    const { refusal } = effects;
    if (refusal)
      throw this.misused('to leave its transaction to the claim', refusal.statement, refusal.remedy);
    if (this.shared && effects !== NO_EFFECTS)
      throw this.misused('not to change its transaction', 'a statement that does', INTERLEAVED);
    return effects;
  }

  /** Sends a cursor, a stream or a COPY: behind the savepoint, when the statements before it are answered. */
  submit(query: Submittable): void {
    if (this.shared) throw this.misused('not to stream', 'a stream or a cursor', INTERLEAVED);
    const text = query.text ?? query.cursor?.text;
    if (typeof text !== 'string')
      throw this.misused('to send statements', 'a query object without a text', 'Send its text.');
    const effects = this.check(text);
    this.track(() => this.runSubmitted(query, effects)).catch((error: unknown) => failQuery(query, error));
  }

  private async runSubmitted(query: Submittable, effects: StatementEffects): Promise<void> {
    const { savepoint } = this;
    const { connection } = savepoint;
    const opened = savepoint.open(this.takeSavepoint());
    this.opening = opened.catch(() => undefined);
    await opened;
    this.opening = undefined;
    savepoint.note(effects);
    connection.stopPipelining();
    this.submitted = query;
    await new Promise<void>((resolve) => {
      const ready = query.handleReadyForQuery?.bind(query);
      query.handleReadyForQuery = (wire) => {
        ready?.(wire);
        resolve();
      };
      const fail = query.handleError?.bind(query);
      query.handleError = (error, wire) => {
        this.failure ??= { error };
        if (this.closed !== query || !hasPortal(query)) fail?.(error, wire);
        resolve(); // pg tells a query that failed nothing more
      };
      // no deadline: a statement of the handler, whose call is limited
      connection.client.query(query as never); // pg declares a generic type for each kind of query object
    });
    this.submitted = undefined;
  }

  /** The error for a call after the end of the handler. */
  late(): PgPubSubError {
    return this.misused(
      'to use its manager while it runs',
      'a statement after its end',
      'Await everything it does.',
    );
  }

  /** The error for the end of the claim's transaction. */
  refuseEnd(): PgPubSubError {
    return this.misused('to leave its transaction to the claim', 'a commit or a rollback', RETURN);
  }

  /** The error for a nested transaction, where handlers interleave. */
  refuseNested(): PgPubSubError | undefined {
    return this.shared && this.misused('not to nest transactions', 'a nested one', INTERLEAVED);
  }

  /** The error for a call that would end or change the connection of the claim. */
  refuse(method: string): PgPubSubError {
    return this.misused(
      'to leave its connection to the claim',
      `a call of client.${method}`,
      'Remove the call.',
    );
  }

  private misused(expected: string, got: string, remedy: string): PgPubSubError {
    return new PgPubSubError(
      'INVALID_ARGUMENT',
      `expected ${this.handler} ${expected}, got ${got}. ${remedy}`,
    );
  }
}

const RETURN = 'Return to have its writes committed, throw to have them undone.';
const INTERLEAVED = 'Handlers with "concurrency" share a savepoint: leave it at 1.';

/** A cursor or a stream of rows: closed, those of pg-cursor before 2.15 would answer an error with a second Sync. */
const hasPortal = (query: Submittable): boolean => 'close' in query || 'cursor' in query;

function failQuery(query: Submittable, error: unknown): void {
  try {
    query.handleError?.(error, undefined);
  } catch {
    // query objects expect their connection, which they never got
  }
}
