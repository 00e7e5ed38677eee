import { backoffDelayMs } from '../common/backoff.js';
import { isTimedOut } from '../common/deadline.js';
import { PgPubSubError, isPgPubSubError } from '../common/errors.js';
import { isServerError } from '../common/server-error.js';
import type { ClaimConnection } from '../postgres/claim-connection.js';
import { Claim } from './claim.js';
import type { ClaimContext } from './claim-context.js';
import type { ClaimedRow } from './claimed-row.js';

/** The result of a committed claim. */
export interface ClaimResult {
  readonly attempted: number;
  readonly failed: number;
  readonly hasMore: boolean;
  /** Milliseconds until the first retry of its rows; `undefined`: no row is retried. */
  readonly retryInMs: number | undefined;
}

/** The maximum number of rows held back per channel, as their attempts are only in memory. */
const MAX_HELD_BACK = 1_000;

/**
 * Runs a claim to its end. A rejected claim is undone and its rows run one by one, each in a claim
 * of its own, so that only the row that caused it fails. Rejects if the connection is lost, or if
 * the database rejects even the failures.
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

/** Resolves with the attempted rows; with `undefined` if the claim was rejected and undone. */
async function tryClaim(claim: Claim): Promise<readonly ClaimedRow[] | undefined> {
  try {
    await claim.run();
    return report(claim, await claim.commit());
  } catch (error) {
    throwIfLost(claim, error);
    await undo(claim);
    if (!isConstraint(error)) claim.context.restoresSettings = true; // a handler may have changed settings
    return undefined;
  }
}

/** Runs one row in a claim of its own; a rejection is the failure of this row. */
async function runAlone(
  connection: ClaimConnection,
  context: ClaimContext,
  id: string,
): Promise<readonly ClaimedRow[]> {
  const claim = await Claim.begin(connection, context, { id });
  const maxAttempts = Math.min(...context.listeners.map(({ retry }) => retry.maxAttempts));
  const limit = Math.max(maxAttempts, 2); // the first crash may have been caused by another row
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

/** Records that the listeners of a row have failed, because their work was rejected. */
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
  } catch (rejection) {
    throwIfLost(claim, rejection);
    await undo(claim);
    holdBack(context, id);
    context.report({ type: 'claim-failed', channel: context.channel, error });
    return [];
  }
}

/** Keeps a row whose failure the database does not record from running before its retry time. */
function holdBack(context: ClaimContext, id: string): void {
  const { heldBack, listeners } = context;
  const attempts = (heldBack.get(id)?.attempts ?? 0) + 1;
  if (heldBack.size >= MAX_HELD_BACK && !heldBack.has(id)) forgetOverdue(heldBack);
  if (heldBack.size >= MAX_HELD_BACK && !heldBack.has(id)) throw tooManyRefused(context.channel);
  const pauses = listeners.map(({ retry }) => Math.max(backoffDelayMs(attempts, retry), retry.minDelayMs));
  heldBack.set(id, { attempts, until: performance.now() + Math.min(...pauses) });
}

/** Forgets rows whose retry time has passed: other processes may have removed them. */
function forgetOverdue(heldBack: ClaimContext['heldBack']): void {
  for (const [id, { until }] of heldBack) if (until < performance.now()) heldBack.delete(id);
}

/** Undoes a claim, which leaves its rows as they were; destroys the connection if that fails. */
async function undo(claim: Claim): Promise<void> {
  try {
    await claim.undo();
  } catch (error) {
    await claim.connection.destroy(error);
    throw error;
  }
}

/** Whether a deferred constraint was violated, which has nothing to do with settings. */
const isConstraint = (error: unknown): boolean => isServerError(error) && error.code.startsWith('23');

/** Throws if the connection is lost. The reason decides which rows have used up an attempt. */
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
  new Error(`the process or its connection ended ${fields.crashCount} times while the handlers ran`);

const tooManyRefused = (channel: string) =>
  new PgPubSubError(
    'COMPLETION_REFUSED',
    `expected the database to complete notifications of channel "${channel}" or to record their failures, got more than ` +
      `${MAX_HELD_BACK} rejections. Look for row-level security, a trigger or missing rights on the tables of this library.`,
  );
