import { backoffDelayMs } from '../common/backoff.js';
import { isTimedOut } from '../common/deadline.js';
import { PgPubSubError, isPgPubSubError } from '../common/errors.js';
import { isServerError } from '../common/server-error.js';
import type { ClaimConnection } from '../postgres/claim-connection.js';
import { Claim } from './claim.js';
import type { ClaimContext } from './claim-context.js';
import type { ClaimedRow } from './claimed-row.js';

/** The outcome of a claim that is committed. */
export interface ClaimResult {
  /** The number of rows that were attempted, and of those that have failed for a listener. */
  readonly attempted: number;
  readonly failed: number;
  /** Whether more rows are known to be claimable. */
  readonly hasMore: boolean;
  /** In how many milliseconds the first of its rows is retried. */
  readonly retryInMs: number | undefined;
}

/** Where the number of rows held back for one channel ends: their attempts are in the memory of this process only. */
const MAX_HELD_BACK = 1_000;

/**
 * Runs a claim to its end. A claim that is refused is undone and its rows run one by one, each in a claim of its own, so
 * that the row whose fault it is fails alone. Rejects when the connection is lost, or when the database refuses even to
 * record failures.
 */
export async function runClaim(claim: Claim): Promise<ClaimResult> {
  const { connection, context } = claim;
  const attempted = await tryClaim(claim);
  const suspects = claim.suspects.map(({ id }) => id);
  const alone = attempted === undefined ? [...claim.rows.map(({ id }) => id), ...suspects] : suspects;
  const rows = [...(attempted ?? [])];
  for (const id of alone) {
    if (context.isEnding() || connection.isTainted) break; // the next claim takes them
    rows.push(...(await runAlone(connection, context, id)));
  }
  const failures = rows.flatMap((row) => row.failures);
  const retryInMs = Math.min(...failures.map(({ delayMs }) => delayMs ?? Infinity));
  return {
    attempted: rows.length,
    failed: rows.filter(({ hasFailed }) => hasFailed).length,
    hasMore: alone.length > 0 || claim.rows.some((row) => row.due.length > 0 && !row.wasAttempted),
    retryInMs: Number.isFinite(retryInMs) ? retryInMs : undefined,
  };
}

/** Resolves with the attempted rows; with `undefined` when the claim was refused, and undone. */
async function tryClaim(claim: Claim): Promise<readonly ClaimedRow[] | undefined> {
  try {
    await claim.run();
    return report(claim, await claim.commit());
  } catch (error) {
    throwIfLost(claim, error);
    await undo(claim);
    if (!isConstraint(error)) claim.context.restoresSettings = true; // a handler may have changed some
    return undefined;
  }
}

/** Runs one row. Whatever is refused now is this row's failure. */
async function runAlone(
  connection: ClaimConnection,
  context: ClaimContext,
  id: string,
): Promise<readonly ClaimedRow[]> {
  const claim = await Claim.begin(connection, context, { id });
  const maxAttempts = Math.min(...context.listeners.map(({ retry }) => retry.maxAttempts));
  const limit = Math.max(maxAttempts, 2); // the first crash may have been another row's
  try {
    if (claim.rows.some(({ fields }) => fields.crashCount >= limit)) claim.giveUp(crashedTooOften);
    else await claim.run();
    return report(claim, await claim.commit());
  } catch (error) {
    throwIfLost(claim, error);
    await undo(claim);
    return failAlone(connection, context, id, error);
  }
}

/** Records that the listeners of a row have failed, because what they did was refused. */
async function failAlone(
  connection: ClaimConnection,
  context: ClaimContext,
  id: string,
  error: unknown,
): Promise<readonly ClaimedRow[]> {
  const claim = await Claim.begin(connection, context, { id });
  claim.fail(error);
  try {
    return report(claim, await claim.commit());
  } catch (refusal) {
    throwIfLost(claim, refusal);
    await undo(claim);
    holdBack(context, id);
    context.report({ type: 'claim-failed', channel: context.channel, error });
    return [];
  }
}

/** Keeps a row from being run again before its retry time, where the database takes no note of its failure. */
function holdBack(context: ClaimContext, id: string): void {
  const { heldBack, listeners } = context;
  const attempts = (heldBack.get(id)?.attempts ?? 0) + 1;
  if (heldBack.size >= MAX_HELD_BACK && !heldBack.has(id)) forgetOverdue(heldBack);
  if (heldBack.size >= MAX_HELD_BACK && !heldBack.has(id)) throw tooManyRefused(context.channel);
  const pauses = listeners.map(({ retry }) => Math.max(backoffDelayMs(attempts, retry), retry.minDelayMs));
  heldBack.set(id, { attempts, until: performance.now() + Math.min(...pauses) });
}

/** Forgets rows that could have been claimed again by now: others may have removed them. */
function forgetOverdue(heldBack: ClaimContext['heldBack']): void {
  for (const [id, { until }] of heldBack) if (until < performance.now()) heldBack.delete(id);
}

/** An undone claim leaves its rows as they were. When that is refused, too, the connection is of no use. */
async function undo(claim: Claim): Promise<void> {
  try {
    await claim.undo();
  } catch (error) {
    await claim.connection.destroy(error);
    throw error;
  }
}

/** Whether a deferred constraint was violated: settings have nothing to do with it. */
const isConstraint = (error: unknown): boolean => isServerError(error) && error.code.startsWith('23');

/** Throws when the connection is lost. What it was given up for decides which rows have used up an attempt. */
function throwIfLost(claim: Claim, error: unknown): void {
  if (!claim.connection.isLost) return;
  const isHandlerTimeout = isPgPubSubError(error) && error.code === 'HANDLER_TIMEOUT';
  if (isHandlerTimeout || isTimedOut(error)) claim.giveUpConnection(isHandlerTimeout);
  throw error;
}

function report(claim: Claim, attempted: readonly ClaimedRow[]): readonly ClaimedRow[] {
  const { context, size, startedAt } = claim;
  if (claim.rows.length === 0) return attempted;
  const { channel, listeners, heldBack } = context;
  let failed = 0;
  for (const { id, failures } of attempted) {
    heldBack.delete(id);
    if (failures.length > 0) failed++;
    for (const failure of failures) context.report({ type: 'stored-failed', channel, id, ...failure });
  }
  for (const { name: listener } of listeners) {
    const count = attempted.filter((row) => row.wasHandledBy(listener)).length;
    if (count > 0) context.report({ type: 'handled', channel, listener, count });
  }
  const durationMs = performance.now() - startedAt;
  const handled = attempted.length - failed;
  context.report({ type: 'claimed', channel, size, handled, failed, durationMs });
  return attempted;
}

const crashedTooOften = ({ fields }: ClaimedRow) =>
  new Error(
    `expected its handlers to end, but ${fields.crashCount} times the process or its connection ended while they ran`,
  );

const tooManyRefused = (channel: string) =>
  new PgPubSubError(
    'COMPLETION_REFUSED',
    `expected the database to complete notifications of channel "${channel}" or to record their failures, got refusals for ` +
      `more than ${MAX_HELD_BACK} of them. Look for row-level security, a trigger or missing rights on the tables of this library.`,
  );
