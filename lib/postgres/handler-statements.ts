import type { ClientBase } from 'pg';
import type { DataSource, EntityManager, QueryRunner } from 'typeorm';
import { settlesWithin } from '../common/deadline.js';
import { PgPubSubError, isPgPubSubError } from '../common/errors.js';
import { createHandlerClient, type Submittable } from './handler-client.js';
import { createHandlerRunner, endHandlerRunner } from './handler-runner.js';
import type { Statement } from './prefixed-query.js';
import type { Savepoint } from './savepoint.js';
import { NO_EFFECTS, type StatementEffects } from './statement-effects.js';

/** The maximum time until the server confirms that a statement is cancelled, in milliseconds. */
const CANCEL_MS = 5_000;

/** The savepoint of handlers that interleave: the writes of one of them cannot be undone alone. */
export interface InterleavedSavepoint {
  isOpen: boolean;
}

/**
 * Guards the statements of one handler call on the connection of its claim, counts them until they
 * are answered, and undoes their writes. Created when the handler first uses its manager; owned by
 * the handler's transaction.
 */
export class HandlerStatements {
  private readonly runner: QueryRunner;
  private guarded: ClientBase | undefined;
  private hasSavepoint = false;
  private pending = 0;
  private whenAnswered: (() => void) | undefined;
  private submitted: Submittable | undefined;
  private closed: Submittable | undefined;
  /** Settles when a cursor, a stream or a COPY can be sent. */
  private opening: Promise<void> | undefined;
  private failure: { readonly error: unknown } | undefined;
  /** `finishing`: the handler has returned, and some of its statements are unanswered. */
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

  get client(): ClientBase {
    return (this.guarded ??= createHandlerClient(this.savepoint.connection.client, this));
  }

  /** Waits for statements that the handler did not await, and closes its open cursor. */
  finish(): Promise<void> | undefined {
    if (this.state === 'open') this.state = 'finishing';
    this.closeSubmitted();
    return this.pending > 0 ? this.answered() : undefined;
  }

  /** Cancels the statements of a late handler. Without a confirmation, gives up the connection. */
  async cancel(cause: Error): Promise<void> {
    if (this.pending === 0) return;
    const { connection } = this.savepoint;
    const answered = this.answered();
    this.closeSubmitted();
    await connection.cancel();
    if (!(await settlesWithin(answered, CANCEL_MS))) await connection.giveUp(cause);
  }

  /** Throws an error that the handler has caught, if it has broken the transaction. */
  async assertUnbroken(): Promise<void> {
    if (this.failure === undefined) return;
    const { error } = this.failure;
    if (this.shared) throw error; // the transaction is broken for all handlers that share it
    await this.savepoint.renew().catch(() => Promise.reject(error));
  }

  get hasFailed(): boolean {
    return this.failure !== undefined;
  }

  /** Undoes the handler's writes, unless it shares its savepoint. */
  async undo(): Promise<void> {
    if (this.hasSavepoint && !this.savepoint.connection.isLost) await this.savepoint.undo();
  }

  /** Rejects all later statements. */
  end(): void {
    this.state = 'over';
    endHandlerRunner(this.runner);
  }

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

  /** Counts a call until it is answered. Rejects calls after the handler has ended. */
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

  /** Ignores errors of this library, which reject a statement before it is sent. */
  private readonly noteFailure = (error: unknown): void => {
    if (!isPgPubSubError(error)) this.failure ??= { error };
    this.noteAnswer();
  };

  /** Sends a statement of TypeORM, whose call is counted already. */
  query(text: string, values: unknown): Promise<unknown> {
    return this.send({ text, values });
  }

  /** Sends a statement whose call is counted already. */
  send(statement: Statement): Promise<unknown> {
    const { opening } = this;
    if (opening) return opening.then(() => this.send(statement)); // pg cannot end a pipeline that has statements in it
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

  /** Throws for a statement that would end the transaction or outlive the handler. */
  private check(text: unknown): StatementEffects {
    const effects = typeof text === 'string' ? this.savepoint.effectsOf(text) : NO_EFFECTS;
    const { refusal } = effects;
    if (refusal)
      throw this.misused('to leave its transaction to the claim', refusal.statement, refusal.remedy);
    if (this.shared && effects !== NO_EFFECTS)
      throw this.misused('not to change its transaction', 'a statement that changes it', INTERLEAVED);
    return effects;
  }

  /** Sends a cursor, a stream or a COPY when the earlier statements are answered. */
  submit(query: Submittable): void {
    if (this.shared) throw this.misused('not to stream rows', 'a stream or a cursor', INTERLEAVED);
    const text = query.text ?? query.cursor?.text;
    if (typeof text !== 'string')
      throw this.misused('to send SQL texts', 'a query object without a text', 'Send its SQL text.');
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
        resolve(); // pg reports nothing more to a failed query
      };
      // no deadline: a statement of the handler, whose call is limited
      connection.client.query(query as never); // pg declares a generic type for each kind of query object
    });
    this.submitted = undefined;
  }

  late(): PgPubSubError {
    return this.misused(
      'to use its manager while it runs',
      'a statement after its end',
      'Await every statement in the handler.',
    );
  }

  refuseEnd(): PgPubSubError {
    return this.misused('to leave its transaction to the claim', 'a commit or a rollback', RETURN);
  }

  refuseNested(): PgPubSubError | undefined {
    return this.shared && this.misused('not to nest transactions', 'a nested transaction', INTERLEAVED);
  }

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
const INTERLEAVED = 'Handlers with "concurrency" share a savepoint. Leave the option at 1.';

/** A cursor or stream. Once closed, pg-cursor before 2.15 answers an error with a second Sync. */
const hasPortal = (query: Submittable): boolean => 'close' in query || 'cursor' in query;

function failQuery(query: Submittable, error: unknown): void {
  try {
    query.handleError?.(error, undefined);
  } catch {
    // the query object may need its connection, which it never received
  }
}
