import type { Notification } from '../channels/notification.js';
import { Watchdog, isTimedOut, withDeadline } from '../common/deadline.js';
import { isPgPubSubError } from '../common/errors.js';
import type { InterleavedSavepoint } from '../postgres/handler-statements.js';
import { HandlerTransaction, type HandlerScope } from '../postgres/handler-transaction.js';
import { readLargeRow } from './claim.sql.js';
import type { Claim } from './claim.js';
import type { ClaimListener } from './claim-context.js';
import { ClaimedBatch, ClaimedNotification } from './claimed-notification.js';
import type { ClaimedRow, Failure } from './claimed-row.js';
import { parseContext } from './parse-row.js';

/**
 * Runs the listeners of a claim's rows, and stores the results in the rows. Rejects if the claim
 * cannot continue: its connection is lost, or its transaction has ended.
 */
export async function runHandlers(claim: Claim): Promise<void> {
  await new HandlerRun(claim).run();
}

/** The maximum number of characters of large rows for one call. */
const MAX_READ_SIZE = 8_000_000;

type Thrown = Pick<Failure, 'error'>;

class HandlerRun {
  private readonly deadline: number;
  private readonly watchdog = new Watchdog();
  private readonly scopes = new Map<ClaimListener, HandlerScope>();
  /** Whether no more handlers start: one was too late, or has changed what cannot be restored. */
  private isCutShort = false;

  constructor(private readonly claim: Claim) {
    this.deadline = performance.now() + claim.context.maxTimeMs;
  }

  async run(): Promise<void> {
    try {
      await this.runAll();
    } finally {
      this.watchdog.stop();
    }
  }

  private async runAll(): Promise<void> {
    const { listeners } = this.claim.context;
    for (const listener of listeners) {
      if (this.isCutShort) return;
      if (listener.batch) await this.runBatch(listener);
      else if (listener.concurrency > 1) await this.runInterleaved(listener);
    }
    await this.runInTurn();
  }

  /** Runs one row after the other, all listeners of a row before the next row. */
  private async runInTurn(): Promise<void> {
    let isFirst = true;
    for (const row of this.claim.rows) {
      if (!isFirst && this.isTimeUp()) return;
      for (const listener of row.due) {
        if (this.isCutShort) return;
        if (!listener.batch && listener.concurrency === 1) await this.runOne(listener, row);
      }
      row.release();
      isFirst = false;
    }
  }

  private async runOne(listener: ClaimListener, row: ClaimedRow): Promise<void> {
    if (!row.isDecoded && !(await this.decode(row))) return;
    const transaction = this.createTransaction(listener);
    const notification = this.notificationOf(row, listener, transaction);
    if (listener.accepts?.(notification) === false) return row.skip(listener);
    const failure = await this.call([row], transaction, () => listener.invoke(notification));
    if (failure === undefined) row.succeed(listener);
    else row.fail(listener, failure.error);
  }

  /**
   * Calls the listener with all rows at once; if that fails, with each row, to isolate bad ones.
   */
  private async runBatch(listener: ClaimListener): Promise<void> {
    const rows = await this.rowsFor(listener);
    if (rows.length === 0 || (await this.tryBatch(listener, rows)) || rows.length === 1) return;
    this.isCutShort = false; // runs at least one row, or the same batch would fail again and again
    for (const [index, row] of rows.entries()) {
      if (index > 0 && this.isTimeUp()) return;
      await this.tryBatch(listener, [row]);
    }
  }

  /** Attributes a failure to the row if there is only one; of several rows, none has failed yet. */
  private async tryBatch(listener: ClaimListener, rows: readonly ClaimedRow[]): Promise<boolean> {
    const transaction = this.createTransaction(listener);
    const notifications = rows.map((row) => this.notificationOf(row, listener, transaction));
    const failure = await this.call(rows, transaction, () =>
      listener.invoke(new ClaimedBatch(notifications, transaction)),
    );
    if (failure === undefined) for (const row of rows) row.succeed(listener);
    else if (rows.length === 1) rows[0]?.fail(listener, failure.error);
    return failure === undefined;
  }

  /**
   * Runs interleaving handlers under one savepoint. If one fails, all are undone. Rows with a
   * handler timeout fail; the others run again one after the other, which shows which of them
   * fails.
   */
  private async runInterleaved(listener: ClaimListener): Promise<void> {
    const rows = await this.rowsFor(listener);
    const started: ClaimedRow[] = [];
    const shared: InterleavedSavepoint = { isOpen: false };
    const queue = rows.values();
    const failures = new Map<ClaimedRow, unknown>();
    const runNext = async (): Promise<void> => {
      for (const row of queue) {
        if (started.length > 0 && (failures.size > 0 || this.isTimeUp())) return;
        started.push(row);
        const transaction = this.createTransaction(listener, shared);
        const notification = this.notificationOf(row, listener, transaction);
        const failure = await this.call([row], transaction, () => listener.invoke(notification));
        if (failure) failures.set(row, failure.error);
      }
    };
    await Promise.all(Array.from({ length: Math.min(listener.concurrency, rows.length) }, runNext));
    if (failures.size === 0) return started.forEach((row) => row.succeed(listener));
    if (shared.isOpen) await this.claim.savepoint.undo();
    await this.runAgain(listener, started, failures);
  }

  private async runAgain(
    listener: ClaimListener,
    started: readonly ClaimedRow[],
    failures: ReadonlyMap<ClaimedRow, unknown>,
  ): Promise<void> {
    const isOnly = started.length === 1;
    this.isCutShort = false; // rows before one with a timeout are handled
    for (const row of started) {
      if (this.isCutShort) return;
      const error = failures.get(row);
      if (isOnly || isHandlerTimeout(error)) row.fail(listener, error);
      else await this.runOne(listener, row);
    }
  }

  /** Runs a handler; resolves with its failure, and rejects if the claim cannot continue. */
  private call(
    rows: readonly ClaimedRow[],
    transaction: HandlerTransaction,
    work: () => Promise<unknown>,
  ): Promise<Thrown | undefined> {
    for (const row of rows) this.claim.running.add(row);
    return transaction.run(work).then(
      () => this.ended(rows, undefined),
      (error: unknown) => this.ended(rows, { error }),
    );
  }

  private ended(rows: readonly ClaimedRow[], failure: Thrown | undefined): Thrown | undefined {
    const { claim } = this;
    if (failure && isHandlerTimeout(failure.error)) {
      this.isCutShort = true;
      if (claim.connection.isLost) claim.setRunning(rows);
    }
    claim.savepoint.assertIntact();
    if (claim.savepoint.isLast) this.isCutShort = true;
    for (const row of rows) claim.running.delete(row);
    return failure;
  }

  /**
   * Returns the decoded rows that are due for this listener and addressed to it; of large ones, as
   * many as fit into memory together.
   */
  private async rowsFor(listener: ClaimListener): Promise<ClaimedRow[]> {
    const rows: ClaimedRow[] = [];
    let readSize = 0;
    for (const row of this.claim.rows) {
      if (!row.due.includes(listener)) continue;
      if (row.fields.isLarge && readSize > MAX_READ_SIZE) continue; // left to the next claim
      if (!row.isDecoded && !(await this.decode(row))) continue;
      readSize += row.readSize;
      if (this.isAccepted(row, listener)) rows.push(row);
      else row.skip(listener);
    }
    return rows;
  }

  private isAccepted(row: ClaimedRow, listener: ClaimListener): boolean {
    if (listener.accepts === undefined) return true;
    return listener.accepts(this.notificationOf(row, listener, this.createTransaction(listener)));
  }

  /** Decodes a payload. Listeners give up a row that cannot be decoded: a retry would fail, too. */
  private async decode(row: ClaimedRow): Promise<boolean> {
    if (row.hasFailed) return false;
    try {
      const { isLarge, unreadable } = row.fields;
      if (unreadable) throw unreadable;
      const decoded = this.claim.context.decode(isLarge ? await this.readLarge(row) : row.fields.payload);
      row.payload = decoded instanceof Promise ? await limited(decoded, row) : decoded;
      row.isDecoded = true;
      return true;
    } catch (error) {
      this.claim.connection.assertUsable();
      for (const listener of row.due)
        if (isTimedOut(error)) row.fail(listener, error);
        else row.giveUp(listener, error);
      return false;
    }
  }

  /** Reads payload and context of a large row; resolves with the payload. */
  private async readLarge(row: ClaimedRow): Promise<string | null> {
    const { connection, context } = this.claim;
    const { rows } = await connection.statement<{ payload: string | null; context: string | null }>(
      readLargeRow(context.schema),
      [row.id],
      'the database to return a large notification',
    );
    const { payload = null, context: contextJson = null } = rows[0] ?? {};
    row.context = parseContext(contextJson);
    row.readSize = (payload?.length ?? 0) + (contextJson?.length ?? 0);
    return payload;
  }

  private createTransaction(listener: ClaimListener, shared?: InterleavedSavepoint): HandlerTransaction {
    const known = this.scopes.get(listener);
    if (known !== undefined) return new HandlerTransaction(known, shared);
    const { context, savepoint } = this.claim;
    const { name: handler, timeoutMs } = listener;
    const { dataSource, signal: shutdown } = context;
    const scope = { dataSource, savepoint, handler, timeoutMs, shutdown, watchdog: this.watchdog };
    this.scopes.set(listener, scope);
    return new HandlerTransaction(scope, shared);
  }

  private notificationOf(
    row: ClaimedRow,
    listener: ClaimListener,
    transaction: HandlerTransaction,
  ): Notification {
    const { channel } = this.claim.context;
    const { payload, context, fields } = row;
    return new ClaimedNotification(channel, payload, context, fields, row.attemptOf(listener), transaction);
  }

  private isTimeUp(): boolean {
    return this.isCutShort || performance.now() > this.deadline || this.claim.context.isEnding();
  }
}

/** Limits an asynchronous codec or schema as the handlers of the row are limited. */
function limited(decoded: Promise<unknown>, row: ClaimedRow): Promise<unknown> {
  const limits = row.due.map(({ timeoutMs }) => timeoutMs);
  if (limits.includes(false)) return decoded;
  return withDeadline(decoded, {
    ms: Math.max(...limits.map(Number)),
    what: 'the payload to be decoded',
  });
}

const isHandlerTimeout = (error: unknown): boolean =>
  isPgPubSubError(error) && error.code === 'HANDLER_TIMEOUT';
