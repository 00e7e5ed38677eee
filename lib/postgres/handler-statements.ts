import { QueryFailedError, type DataSource, type EntityManager, type QueryRunner } from 'typeorm';
import { settlesWithin } from '../common/deadline.js';
import { PgPubSubError } from '../common/errors.js';
import { createHandlerClient, type Submittable } from './handler-client.js';
import { createHandlerRunner, endHandlerRunner } from './handler-runner.js';
import type { Statement } from './prefixed-query.js';
import type { Savepoint } from './savepoint.js';
import { NO_EFFECTS, type StatementEffects } from './statement-effects.js';

/** How long the server may take to confirm that it has cancelled a statement, in milliseconds. */
const CANCEL_MS = 5_000;

/** Handlers that interleave behind one savepoint: what one of them wrote cannot be undone alone. */
export interface SharedSavepoint {
  isOpen: boolean;
}

/**
 * The statements of one call of a handler, on the connection of its claim: guards them, counts them until they are
 * answered, and undoes them. Created with the first use of the manager; owned by the handler's transaction.
 */
export class HandlerStatements {
  readonly manager: EntityManager;
  private readonly runner: QueryRunner;
  private hasSavepoint = false;
  /** The number of calls that are not answered. */
  private pending = 0;
  private whenAnswered: (() => void) | undefined;
  private submitted: Submittable | undefined;
  private failure: { readonly error: unknown } | undefined;
  /** `finishing`: the handler has returned, and its statements are still on their way. */
  private state: 'open' | 'finishing' | 'over' = 'open';

  constructor(
    dataSource: DataSource,
    private readonly savepoint: Savepoint,
    private readonly handler: string,
    private readonly shared: SharedSavepoint | undefined,
  ) {
    const client = createHandlerClient(savepoint.connection.client, {
      send: (statement) => this.track(() => this.send(statement)),
      submit: (query) => this.submit(query),
      refuse: (method) =>
        this.misused(
          'to leave its connection to the claim',
          `a call of client.${method}`,
          'Remove the call.',
        ),
    });
    this.runner = createHandlerRunner(dataSource, {
      client,
      track: (call) => this.track(call),
      assertOpen: () => this.assertOpen(),
      refuseEnd: () =>
        this.misused('to leave its transaction to the claim', 'a commit or a rollback', RETURN),
      refuseNested: () => shared && this.misused('not to nest transactions', 'a nested one', INTERLEAVED),
    });
    this.manager = this.runner.manager;
  }

  /** Waits for the statements that the handler did not await, and closes a cursor that it left open. */
  async finish(): Promise<void> {
    if (this.state === 'open') this.state = 'finishing';
    this.closeSubmitted();
    if (this.pending > 0) await this.answered();
  }

  /** Ends what the server does for a handler that is late. Without an answer in time the connection is given up. */
  async cancel(cause: Error): Promise<void> {
    if (this.pending === 0) return;
    const { connection } = this.savepoint;
    const answered = this.answered();
    this.closeSubmitted();
    await connection.cancel();
    if (!(await settlesWithin(answered, CANCEL_MS))) await connection.destroy(cause);
  }

  /** Throws the error that broke the transaction when the handler has swallowed it. */
  async assertUnbroken(): Promise<void> {
    if (this.failure === undefined) return;
    const { error } = this.failure;
    if (this.shared) throw error; // it has broken the transaction of all
    await this.savepoint.renew().catch(() => Promise.reject(error));
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
    const closing: unknown = submitted.destroy ? submitted.destroy() : submitted.close?.();
    if (closing instanceof Promise) closing.catch(() => undefined);
  }

  private assertOpen(): void {
    if (this.state === 'open' || (this.state === 'finishing' && this.pending > 0)) return;
    throw this.misused(
      'to use its manager while it runs',
      'a statement after its end',
      'Await everything it does.',
    );
  }

  /** Counts a call until it is answered. Rejects what comes when the handler is over. */
  private track<T>(call: () => Promise<T>): Promise<T> {
    try {
      this.assertOpen();
    } catch (error) {
      return Promise.reject(error);
    }
    this.pending++;
    const answered = () => {
      this.pending--;
      if (this.pending === 0) this.whenAnswered?.();
    };
    const result = call();
    result.then(answered, (error: unknown) => {
      this.noteFailure(error);
      answered();
    });
    return result;
  }

  /** A statement that was refused before it was sent has broken nothing. */
  private noteFailure(error: unknown): void {
    if (error instanceof PgPubSubError) return;
    const { failure } = this;
    const isWrapped = error instanceof QueryFailedError && error.driverError === failure?.error;
    if (failure === undefined || isWrapped) this.failure = { error };
  }

  private async send(statement: Statement): Promise<unknown> {
    const effects = this.check(statement.text);
    const commands = this.takeSavepoint();
    this.savepoint.note(effects);
    return this.savepoint.send(commands, statement);
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
  private submit(query: Submittable): void {
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
    const commands = [...this.takeSavepoint().map(({ text }) => text), 'select'];
    await connection.roundTrip(commands.join('; '), 'the server to set a savepoint');
    savepoint.note(effects);
    connection.stopPipelining();
    this.submitted = query;
    await new Promise<void>((resolve) => {
      const ready = query.handleReadyForQuery?.bind(query);
      query.handleReadyForQuery = (wire) => {
        ready?.(wire);
        resolve();
      };
      // no deadline: a statement of the handler, whose call is limited
      connection.client.query(query as never); // pg declares a generic type for each kind of query object
    });
    this.submitted = undefined;
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

function failQuery(query: Submittable, error: unknown): void {
  try {
    query.handleError?.(error, undefined);
  } catch {
    // query objects expect their connection, which they never got
  }
}
