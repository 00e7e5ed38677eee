import { isTimedOut } from '../common/deadline.js';
import { PgPubSubError, isPgPubSubError, messageOf } from '../common/errors.js';
import { isServerError } from '../common/server-error.js';
import type { ClaimConnection } from '../postgres/claim-connection.js';
import { Savepoint } from '../postgres/savepoint.js';
import { COMPLETION_REFUSED } from '../storage/storage.sql.js';
import type { ClaimContext } from './claim-context.js';
import {
  beginClaim,
  completeClaim,
  contextOfClaim,
  moveToDeadLetters,
  postpone,
  readLargeKey,
  readServerTime,
  type ClaimRange,
} from './claim.sql.js';
import { ClaimedRow, deadRows, postponedRow } from './claimed-row.js';
import { countCrash, findAborted, undoClaim } from './given-up.sql.js';
import { findPlatform } from './given-up-claims.js';
import type { HeadsCursor } from './heads.sql.js';
import { parseRow } from './parse-row.js';
import { runHandlers } from './run-handlers.js';

type Values = (string | null)[];

/** The rows that the server has locked for a claim. */
interface Locked {
  readonly rows: readonly ClaimedRow[];
  /** The number of locked rows, including those whose key another process handles. */
  readonly size: number;
  readonly lastKey: string | null;
  /** The position at which a claim of an ordered channel continues; `undefined` if all is read. */
  readonly end: HeadsCursor | undefined;
}

/**
 * One claim: rows that are locked, run through their listeners, and completed in one transaction.
 * `commit()` resolves when the server has verified and committed all of it. Otherwise nothing of it
 * has happened, and `undo()` or `giveUpConnection()` settles the rows. Owned by the loop of a
 * worker.
 */
export class Claim {
  /** The rows to run: those without a crash. */
  readonly rows: readonly ClaimedRow[];
  /**
   * Rows that are run in a claim of their own each, because their last claim ended with its process
   * or connection; sorted by crashes, fewest first.
   */
  readonly suspects: readonly ClaimedRow[];
  /** Whether it is a claim of a single row, which bears the outcome of the claim. */
  readonly isAlone: boolean;
  readonly running = new Set<ClaimedRow>();
  readonly savepoint: Savepoint;
  /** The duration of the handlers in milliseconds, without the completion. */
  handlingMs = 0;
  /** The duration from the first handler to the commit, in milliseconds. */
  tookMs = 0;
  /** The number of rows that were attempted and committed. */
  attempted = 0;
  private runAt = performance.now();
  private isCommitting = false;

  private constructor(
    readonly connection: ClaimConnection,
    readonly context: ClaimContext,
    readonly locked: Locked,
    /** The ids of rows whose last claim crashed; `undefined` for a claim of a single row. */
    crashed: ReadonlySet<string> | undefined,
    readonly startedAt: number,
    contextJson: string,
  ) {
    const crashes = ({ id, fields }: ClaimedRow) => fields.crashCount + (crashed?.has(id) ? 1 : 0);
    const isSuspect = (row: ClaimedRow) => crashed !== undefined && crashes(row) > 0;
    this.isAlone = crashed === undefined;
    this.suspects = locked.rows.filter(isSuspect).toSorted((a, b) => crashes(a) - crashes(b));
    this.rows = this.suspects.length === 0 ? locked.rows : locked.rows.filter((row) => !isSuspect(row));
    this.savepoint = new Savepoint(connection, {
      contextOfHandler: context.contextOfHandler,
      contextOfClaim: contextJson,
      restoresAlways: context.restoresSettings,
    });
  }

  /** Locks rows: up to a number of them, or the one with an id, to run it alone. */
  static async begin(connection: ClaimConnection, context: ClaimContext, range: ClaimRange): Promise<Claim> {
    if (!context.platform.isKnown) context.platform = await findPlatform(connection);
    const startedAt = performance.now();
    const contextJson = contextOfClaim(context);
    try {
      const results = await connection.roundTrip(beginClaim(context, range, contextJson), ANSWER);
      const found = results.find(({ command }) => command === 'SELECT');
      const values = rowsOf(found);
      const locked = readLocked(context, values, await lastKeyOf(connection, context, values));
      const crashed = 'id' in range ? undefined : await countCrashes(connection, context, locked.rows);
      return new Claim(connection, context, locked, crashed, startedAt, contextJson);
    } catch (error) {
      const { processId } = connection;
      if (isTimedOut(error)) context.givenUp.push({ processId, ids: [], ran: [], isCommitting: false });
      throw error;
    }
  }

  get size(): number {
    return this.locked.rows.length;
  }

  /** Runs as many handlers as time allows. Rejects if the transaction is lost or has ended. */
  async run(): Promise<void> {
    this.runAt = performance.now();
    await runHandlers(this);
    this.handlingMs = performance.now() - this.runAt;
  }

  /** Lets the listeners give up all rows, without running them. */
  giveUp(errorOf: (row: ClaimedRow) => unknown): void {
    for (const row of this.rows) for (const listener of row.due) row.giveUp(listener, errorOf(row));
  }

  /** Lets all listeners fail, without running them. */
  fail(error: unknown): void {
    for (const row of this.rows) for (const listener of row.due) row.fail(listener, error);
  }

  /**
   * Completes and commits the work of the handlers; releases rows that were not attempted. Resolves
   * with the attempted rows. Rejects with `COMPLETION_REFUSED`, or with the error of the server, if
   * not all of it is committed.
   */
  async commit(): Promise<readonly ClaimedRow[]> {
    this.savepoint.assertIntact();
    const { schema } = this.context;
    const attempted = this.rows.filter(({ wasAttempted }) => wasAttempted);
    const { savepoint } = this;
    const { wasUsed } = savepoint;
    await this.writeFailures(attempted);
    const complete = attempted.filter(({ isComplete }) => isComplete).map(({ id }) => id);
    const settings = wasUsed && !this.context.restoresSettings ? savepoint.settings : undefined;
    const text = completeClaim(schema, complete, settings);
    this.isCommitting = true;
    try {
      await savepoint.leave(text, COMPLETION, { ends: true });
    } catch (error) {
      this.connection.settings = undefined;
      throw refusedCompletion(error);
    }
    this.isCommitting = false;
    this.attempted = attempted.length;
    this.tookMs = performance.now() - this.runAt;
    return attempted;
  }

  /** Undoes the claim on its connection, so that its rows can be claimed as before. */
  async undo(): Promise<void> {
    const text = undoClaim(this.context.schema, this.ids);
    await this.connection.roundTrip(text, 'the database to undo a claim', { ends: true });
  }

  /** Registers the claim to be settled. `counted`: rows whose handlers run have used an attempt. */
  giveUpConnection(counted: boolean): void {
    const { context, ids, isCommitting } = this;
    const ran = counted ? [...this.running].map(({ id }) => id) : [];
    context.givenUp.push({ processId: this.connection.processId, ids, ran, isCommitting });
  }

  /**
   * Limits the running rows to those that caused the loss of the connection and used an attempt.
   */
  setRunning(rows: readonly ClaimedRow[]): void {
    this.running.clear();
    for (const row of rows) this.running.add(row);
  }

  private get ids(): string[] {
    return this.locked.rows.map(({ id }) => id);
  }

  /** Writes dead letters and retries, outside of the savepoint, and verifies their number. */
  private async writeFailures(attempted: readonly ClaimedRow[]): Promise<void> {
    const { schema } = this.context;
    const dead = attempted.flatMap(deadRows);
    const postponed = attempted.filter(({ isComplete }) => !isComplete);
    if (dead.length === 0 && postponed.length === 0) return;
    if (this.savepoint.wasUsed) await this.savepoint.leave('select', 'the database to release a savepoint');
    if (dead.length > 0) await this.write(moveToDeadLetters(schema), dead);
    if (postponed.length === 0) return;
    const { rows } = await this.statement<{ now: unknown }>(readServerTime, []);
    const nowMs = Number(rows[0]?.now);
    await this.write(
      postpone(schema),
      postponed.map((row) => postponedRow(row, nowMs)),
    );
  }

  private async write(sql: string, rows: readonly object[]): Promise<void> {
    const { rowCount } = await this.statement(sql, [JSON.stringify(rows)]);
    if (rowCount !== rows.length) throw notCompleted(`${rowCount ?? 0} of ${rows.length}`);
  }

  private statement<Row extends object>(sql: string, parameters: unknown[]) {
    return this.connection.statement<Row>(sql, parameters, COMPLETION);
  }
}

const ANSWER = 'the database to answer a claim';
const COMPLETION = 'the database to answer the completion of a claim';

const rowsOf = (result: { readonly rows: readonly unknown[] } | undefined): readonly Values[] =>
  (result?.rows ?? []) as readonly Values[]; // rowMode 'array' returns texts

/**
 * Rows of an ordered channel have three more values: the lock of the key, whether this claim has
 * the key, and the position to continue at.
 */
function readLocked(
  { ordered, listeners }: ClaimContext,
  found: readonly Values[],
  lastKey: string | null,
): Locked {
  const locked = found.filter(([id]) => id !== null);
  const ours = ordered ? locked.filter((values) => values.at(-2) !== 'f') : locked;
  const rows = ours.map(
    (values) => new ClaimedRow(parseRow(ordered ? values.slice(0, -HEADS_COLUMNS) : values), listeners),
  );
  const end = ordered ? found.map((values) => values.at(-1)).find((json) => json !== null) : undefined;
  return {
    rows,
    size: locked.length,
    lastKey,
    end: end ? (JSON.parse(end) as HeadsCursor) : undefined, // as the statement writes it
  };
}

const KEY = 4;
/** The number of additional columns in claims of an ordered channel. */
const HEADS_COLUMNS = 3;

/** The key of the last locked row of an ordered channel, after which a claim continues. */
async function lastKeyOf(
  connection: ClaimConnection,
  { schema, ordered }: ClaimContext,
  found: readonly Values[],
): Promise<string | null> {
  const last = found.findLast(([id]) => id !== null);
  const isLarge = ordered && last !== undefined && last[KEY] === null && last.at(-HEADS_COLUMNS) !== null;
  if (!isLarge) return last?.[KEY] ?? null;
  const { rows } = await connection.statement<{ key: string | null }>(
    readLargeKey(schema),
    [last[0]],
    ANSWER,
  );
  return rows[0]?.key ?? null;
}

/**
 * Finds rows whose last claim crashed, and counts the crash in this claim, before they run again: a
 * row must not crash processes indefinitely.
 */
async function countCrashes(
  connection: ClaimConnection,
  { schema, channel, report }: ClaimContext,
  rows: readonly ClaimedRow[],
): Promise<ReadonlySet<string>> {
  const lockers = new Set(rows.map(({ fields }) => fields.lastLocker).filter((locker) => locker !== '0'));
  if (lockers.size === 0) return new Set();
  const what = ANSWER;
  const found = await connection.statement<{ id: string }>(findAborted, [[...lockers]], what);
  const aborted = new Set(found.rows.map(({ id }) => id));
  const crashed = rows.filter(({ fields }) => aborted.has(fields.lastLocker));
  if (crashed.length === 0) return new Set();
  await connection.statement(countCrash(schema), [crashed.map(({ id }) => id)], what);
  for (const { id, fields } of crashed)
    report({ type: 'interrupted', channel, id, deaths: fields.crashCount + 1 });
  return new Set(crashed.map(({ id }) => id));
}

/** Whether the database answered, and rejected a claim or its completion. */
export const isRejected = (error: unknown): boolean =>
  isServerError(error) || (isPgPubSubError(error) && error.code === 'COMPLETION_REFUSED');

/** Translates the server's error for missing rows into `COMPLETION_REFUSED`. */
function refusedCompletion(error: unknown): unknown {
  const [, count] = new RegExp(`${COMPLETION_REFUSED} (\\d+ of \\d+)$`).exec(messageOf(error)) ?? [];
  if (count !== undefined) return notCompleted(count, error);
  const isDenied = typeof error === 'object' && error !== null && 'code' in error && error.code === '42501';
  return isDenied ? notCompleted('0', error) : error;
}

const notCompleted = (count: string, cause?: unknown) =>
  new PgPubSubError(
    'COMPLETION_REFUSED',
    `expected the database to complete all handled notifications, got ${count}${cause === undefined ? '' : ` (${messageOf(cause)})`}. ` +
      'Look for row-level security, a trigger or missing rights on the tables of this library.',
    { cause },
  );
