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
  /** The number of rows that were locked, with those of keys that another process handles. */
  readonly size: number;
  /** The key of the last of them. */
  readonly lastKey: string | null;
  /** Where a claim of an ordered channel goes on, if it has not seen all of it. */
  readonly end: HeadsCursor | undefined;
}

/**
 * One claim: rows that are locked, run through their listeners, and completed in one transaction. It knows how it ended:
 * `commit()` resolves when the server has verified and committed all of it; else nothing of it has happened, and `undo()`
 * or `giveUpConnection()` tells the rows so. Owned by the loop of a worker.
 */
export class Claim {
  /** The rows to run: those that have done no harm. */
  readonly rows: readonly ClaimedRow[];
  /** Rows whose last claim ended with its process or connection: for a claim of their own each, most crashed last. */
  readonly suspects: readonly ClaimedRow[];
  /** Whether it is a claim of one row, which has to bear what becomes of the claim. */
  readonly isAlone: boolean;
  /** The rows whose handlers run at the moment. */
  readonly running = new Set<ClaimedRow>();
  readonly savepoint: Savepoint;
  /** How long the handlers took, without what completes the claim. */
  handlingMs = 0;
  /** How long the claim took from its first handler to its commit. */
  tookMs = 0;
  /** The number of rows that were attempted and committed. */
  attempted = 0;
  private runAt = performance.now();
  private isCommitting = false;

  private constructor(
    readonly connection: ClaimConnection,
    readonly context: ClaimContext,
    /** All rows that are locked, in the order in which they were read. */
    readonly locked: Locked,
    /** Rows whose last claim crashed; `undefined`: the claim is of one row, whose history does not matter. */
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

  /** The number of rows that this claim is to handle. */
  get size(): number {
    return this.locked.rows.length;
  }

  /** Runs the handlers of the rows that there is time for. Rejects when the transaction is lost, or has ended. */
  async run(): Promise<void> {
    this.runAt = performance.now();
    await runHandlers(this);
    this.handlingMs = performance.now() - this.runAt;
  }

  /** Lets listeners give up on all rows, without running them. */
  giveUp(errorOf: (row: ClaimedRow) => unknown): void {
    for (const row of this.rows) for (const listener of row.due) row.giveUp(listener, errorOf(row));
  }

  /** Lets all listeners fail, without running them. */
  fail(error: unknown): void {
    for (const row of this.rows) for (const listener of row.due) row.fail(listener, error);
  }

  /**
   * Completes and commits what the handlers did; rows that were not attempted are released. Resolves with the attempted
   * rows. Rejects with `COMPLETION_REFUSED`, or with the error of the server, when it is not all of it committed.
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

  /** Undoes the claim on its connection, so that its rows can be claimed as if nothing had happened. */
  async undo(): Promise<void> {
    const text = undoClaim(this.context.schema, this.ids);
    await this.connection.roundTrip(text, 'the database to undo a claim', { ends: true });
  }

  /** Leaves the claim to be settled, after its connection was given up. `counted`: its running rows used up an attempt. */
  giveUpConnection(counted: boolean): void {
    const { context, ids, isCommitting } = this;
    const ran = counted ? [...this.running].map(({ id }) => id) : [];
    context.givenUp.push({ processId: this.connection.processId, ids, ran, isCommitting });
  }

  /** The connection was given up because of these rows: others that ran beside them have used up no attempt. */
  setRunning(rows: readonly ClaimedRow[]): void {
    this.running.clear();
    for (const row of rows) this.running.add(row);
  }

  private get ids(): string[] {
    return this.locked.rows.map(({ id }) => id);
  }

  /** Writes dead letters and retries; outside of the savepoint, and verified. */
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
  (result?.rows ?? []) as readonly Values[]; // by rowMode 'array', as texts

/** Rows of an ordered channel have three values more: the lock of the key, whether the key is ours to handle, and where to go on. */
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

/** The position of the key among the columns of a row. */
const KEY = 4;
/** The number of columns that claims of an ordered channel have besides. */
const HEADS_COLUMNS = 3;

/** The key of the last locked row of an ordered channel, behind which a claim goes on. */
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
 * Finds the rows that were locked by a claim that did not end well, and counts that with this claim, before they are run
 * again: a row must not take down processes indefinitely.
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

/** Whether the database answered, and refused a claim or its completion. */
export const isRejected = (error: unknown): boolean =>
  isServerError(error) || (isPgPubSubError(error) && error.code === 'COMPLETION_REFUSED');

/** The server's way to say that rows are missing is an error of its own. */
function refusedCompletion(error: unknown): unknown {
  const [, count] = new RegExp(`${COMPLETION_REFUSED} (\\d+ of \\d+)$`).exec(messageOf(error)) ?? [];
  if (count !== undefined) return notCompleted(count, error);
  const isDenied = typeof error === 'object' && error !== null && 'code' in error && error.code === '42501';
  return isDenied ? notCompleted('0', error) : error;
}

const notCompleted = (count: string, cause?: unknown) =>
  new PgPubSubError(
    'COMPLETION_REFUSED',
    `expected the database to complete all notifications that were handled, got ${count}${cause === undefined ? '' : ` (${messageOf(cause)})`}. ` +
      'Look for row-level security, a trigger or missing rights on the tables of this library.',
    { cause },
  );
