import type { DataSource } from 'typeorm';
import type { Notification } from '../channels/notification.js';
import type { JsonObject } from '../common/json.js';
import { RowOutcome, deadRows, postponedRow } from './claim-outcome.js';
import type { ClaimSession } from './claim-session.js';
import { bury, postpone, readPayload, serverTime } from './claim.sql.js';
import { ClaimSavepoint, HandlerSession, type SharedSavepoint } from './handler-session.js';
import type { StoredListener } from './stored-listener.js';
import { StoredBatch, StoredNotification } from './stored-notification.js';
import type { StoredRow } from './stored-row.js';

/** What all claims of a channel share. */
export interface ClaimHost {
  readonly dataSource: DataSource;
  readonly schema: string;
  readonly channel: string;
  readonly listeners: readonly StoredListener[];
  /** From the JSON text of a payload to what listeners get. Throws, or rejects, for what they cannot get. */
  readonly decode: (json: string | null) => unknown;
  /** What triggers are to find while a handler runs, where that is not what the claim has set. */
  readonly contextOfHandler: () => JsonObject | undefined;
  readonly maxTimeMs: number;
  /** The claim should end soon: the application closes, or the channel is paused. */
  readonly isEnding: () => boolean;
  readonly signal: AbortSignal;
}

/** A row, and the listeners that are to run now. */
interface Work {
  readonly row: StoredRow;
  readonly due: readonly StoredListener[];
  readonly outcome: RowOutcome;
  payload: unknown;
  isDecoded: boolean;
}

/**
 * The rows of one claim, from their lock to their commit: runs the listeners, and writes down what has become of each
 * row. What there was no time for is released by the commit. Owned by the worker; throws only when the connection is
 * lost or the commit fails: then nothing of it has happened.
 */
export class ClaimRun {
  private readonly works: readonly Work[];
  private readonly savepoint: ClaimSavepoint;
  private readonly deadline: number;
  /** How long the handlers took, without what completes the claim. */
  handlingMs = 0;

  constructor(
    private readonly host: ClaimHost,
    private readonly session: ClaimSession,
    rows: readonly StoredRow[],
  ) {
    this.savepoint = new ClaimSavepoint(session, host.contextOfHandler);
    this.deadline = performance.now() + host.maxTimeMs;
    this.works = rows.map((row) => createWork(row, host.listeners));
  }

  /** The outcomes of the rows that were handled, committed. */
  async run(): Promise<readonly RowOutcome[]> {
    const { listeners } = this.host;
    for (const listener of listeners) {
      if (listener.batch) await this.runBatch(listener);
      else if (listener.concurrency > 1) await this.runInterleaved(listener);
    }
    await this.runInTurn();
    this.handlingMs = performance.now() - (this.deadline - this.host.maxTimeMs);
    return this.complete();
  }

  /** Gives up on rows that nobody has survived often enough, without running anything. */
  async buryAll(errorOf: (row: StoredRow) => Error): Promise<readonly RowOutcome[]> {
    for (const { row, due, outcome } of this.works)
      for (const listener of due) outcome.giveUp(listener, errorOf(row));
    return this.complete();
  }

  /** For what has been undone again, by a commit that failed. */
  async failAll(error: unknown): Promise<readonly RowOutcome[]> {
    for (const { due, outcome } of this.works) for (const listener of due) outcome.fail(listener, error);
    return this.complete();
  }

  /** One after the other, all listeners of a row before the next row. */
  private async runInTurn(): Promise<void> {
    let isFirst = true;
    for (const work of this.works) {
      if (!isFirst && this.isTimeUp()) return;
      for (const listener of work.due)
        if (!listener.batch && listener.concurrency === 1) await this.runOne(listener, work);
      isFirst = false;
    }
  }

  private async runOne(listener: StoredListener, work: Work): Promise<void> {
    this.session.assertAlive();
    const { outcome } = work;
    if (!work.isDecoded && !(await this.decode(work))) return;
    const handler = this.createHandler(listener, undefined);
    const notification = this.notificationOf(work, listener, handler);
    if (listener.accepts?.(notification) === false) return outcome.pass(listener);
    try {
      await listener.invoke(notification);
      await handler.succeed();
      outcome.succeed(listener);
    } catch (error) {
      this.session.assertAlive();
      await handler.fail();
      outcome.fail(listener, error);
    }
  }

  /** All at once; if that fails one by one, so that a bad row does not hold the others. */
  private async runBatch(listener: StoredListener): Promise<void> {
    const works = await this.worksFor(listener);
    if (works.length === 0 || (await this.tryBatch(listener, works)) || works.length === 1) return;
    for (const [index, work] of works.entries()) {
      if (index > 0 && this.isTimeUp()) return;
      await this.tryBatch(listener, [work]);
    }
  }

  /** A failure of a single row is that row's; of several, it is nobody's yet. */
  private async tryBatch(listener: StoredListener, works: readonly Work[]): Promise<boolean> {
    this.session.assertAlive();
    const handler = this.createHandler(listener, undefined);
    const notifications = works.map((work) => this.notificationOf(work, listener, handler));
    try {
      await listener.invoke(new StoredBatch(notifications, handler, this.host.signal));
      await handler.succeed();
      for (const { outcome } of works) outcome.succeed(listener);
      return true;
    } catch (error) {
      this.session.assertAlive();
      await handler.fail();
      if (works.length === 1) works[0]?.outcome.fail(listener, error);
      return false;
    }
  }

  /** Interleaved, behind one savepoint; if one fails, all of it is undone, and run again one after the other. */
  private async runInterleaved(listener: StoredListener): Promise<void> {
    const works = await this.worksFor(listener);
    const started: Work[] = [];
    const shared: SharedSavepoint = {};
    const queue = works.values();
    const errors: unknown[] = [];
    const runNext = async (): Promise<void> => {
      for (const work of queue) {
        if (started.length > 0 && (errors.length > 0 || this.isTimeUp())) return;
        started.push(work);
        const handler = this.createHandler(listener, shared);
        try {
          await listener.invoke(this.notificationOf(work, listener, handler));
          await handler.succeed();
        } catch (error) {
          errors.push(error);
          await handler.fail();
        }
      }
    };
    await Promise.all(Array.from({ length: Math.min(listener.concurrency, works.length) }, runNext));
    if (errors.length === 0) return started.forEach(({ outcome }) => outcome.succeed(listener));
    this.session.assertAlive();
    if (shared.opened) await this.savepoint.undo();
    if (started.length === 1) return started[0]?.outcome.fail(listener, errors[0]);
    for (const work of started) await this.runOne(listener, work); // whose failure it was shows now
  }

  /** The decoded rows that are due for this listener and meant for it. */
  private async worksFor(listener: StoredListener): Promise<Work[]> {
    const works: Work[] = [];
    for (const work of this.works) {
      if (!work.due.includes(listener) || (!work.isDecoded && !(await this.decode(work)))) continue;
      const isMeant = listener.accepts?.(
        this.notificationOf(work, listener, this.createHandler(listener, undefined)),
      );
      if (isMeant === false) work.outcome.pass(listener);
      else works.push(work);
    }
    return works;
  }

  /** What cannot be decoded will not be the next time either. */
  private async decode(work: Work): Promise<boolean> {
    if (work.outcome.hasFailed) return false;
    try {
      const { id, isLarge, payload } = work.row;
      const decoded = this.host.decode(isLarge ? await this.readLarge(id) : payload);
      work.payload = decoded instanceof Promise ? await decoded : decoded;
      work.isDecoded = true;
      return true;
    } catch (error) {
      this.session.assertAlive();
      for (const listener of work.due) work.outcome.giveUp(listener, error);
      return false;
    }
  }

  private async readLarge(id: string): Promise<string | null> {
    const { rows } = await this.session.query<{ payload: string | null }>(readPayload(this.host.schema), [
      id,
    ]);
    return rows[0]?.payload ?? null;
  }

  private createHandler(listener: StoredListener, shared: SharedSavepoint | undefined): HandlerSession {
    return new HandlerSession(this.host.dataSource, this.savepoint, shared, listener.name);
  }

  private notificationOf(work: Work, listener: StoredListener, handler: HandlerSession): Notification {
    const { channel, signal } = this.host;
    return new StoredNotification(
      channel,
      work.payload,
      work.row,
      work.outcome.attemptOf(listener),
      handler,
      signal,
    );
  }

  private isTimeUp(): boolean {
    return performance.now() > this.deadline || this.host.isEnding();
  }

  private async complete(): Promise<readonly RowOutcome[]> {
    const { schema } = this.host;
    const outcomes = this.works.map(({ outcome }) => outcome).filter(({ isTouched }) => isTouched);
    const failed = outcomes.filter(({ hasFailed }) => hasFailed);
    const dead = failed.flatMap(deadRows);
    const postponed = outcomes.filter(({ isComplete }) => !isComplete);
    if (dead.length > 0 || postponed.length > 0) await this.savepoint.end();
    if (dead.length > 0) await this.session.query(bury(schema), [JSON.stringify(dead)]);
    if (postponed.length > 0) await this.postpone(postponed);
    const complete = outcomes.filter(({ isComplete }) => isComplete).map(({ row }) => row.id);
    await this.session.complete(complete, this.savepoint.ending);
    return outcomes;
  }

  private async postpone(outcomes: readonly RowOutcome[]): Promise<void> {
    const { rows } = await this.session.query<{ now: unknown }>(serverTime, []);
    const nowMs = Number(rows[0]?.now);
    const changes = outcomes.map((outcome) => postponedRow(outcome, nowMs));
    await this.session.query(postpone(this.host.schema), [JSON.stringify(changes)]);
  }
}

/** Times are rounded on their way: a millisecond early is due. */
const TOLERANCE_MS = 1;

function createWork(row: StoredRow, all: readonly StoredListener[]): Work {
  const meant = isOrdinary(row) ? all : all.filter((listener) => isMeant(row, listener, all));
  const isDue = ({ name }: StoredListener) => (row.retries[name]?.at ?? 0) <= row.now + TOLERANCE_MS;
  const due = row.now === 0 ? meant : meant.filter(isDue);
  return {
    row,
    due: due.length === 0 ? meant : due,
    outcome: new RowOutcome(row, meant),
    payload: undefined,
    isDecoded: false,
  };
}

/** Fresh, and no listener has a filter. */
const isOrdinary = ({ handledBy, listeners, matches }: StoredRow): boolean =>
  handledBy.length === 0 && listeners === null && matches.length === 0;

function isMeant(row: StoredRow, listener: StoredListener, all: readonly StoredListener[]): boolean {
  if (row.handledBy.includes(listener.name)) return false;
  if (row.listeners !== null && !row.listeners.includes(listener.name)) return false;
  if (listener.filter === undefined) return true;
  const filtered = all.filter(({ filter }) => filter !== undefined);
  return row.matches[filtered.indexOf(listener)] === true;
}
