import type { ClaimConnection } from '../postgres/claim-connection.js';
import type { ClaimContext } from './claim-context.js';
import { nextDue } from './claim.sql.js';

/** The delay before rows of other processes are claimed again: nothing signals a crash. */
const TAKEN_RETRY_MS = 1_000;

/**
 * Finds the milliseconds until a channel's next row is due, if one is known, for a worker whose
 * last claim began `sinceMs` ago.
 */
export async function findNextDue(
  connection: ClaimConnection,
  context: ClaimContext,
  sinceMs: number,
): Promise<number | undefined> {
  const { rows } = await connection.statement<{ readonly ms: unknown; readonly taken: boolean }>(
    nextDue(context),
    [context.channel, sinceMs],
    'the database to return the time of the next notification',
  );
  const { ms = null, taken = false } = rows[0] ?? {};
  const dueMs = ms === null ? Infinity : Math.max(1, Math.ceil(Number(ms)));
  const nextMs = Math.min(dueMs, taken ? TAKEN_RETRY_MS : Infinity);
  return Number.isFinite(nextMs) ? nextMs : undefined;
}
