import type { ClaimConnection } from '../postgres/claim-connection.js';
import type { ClaimContext } from './claim-context.js';
import { nextDue } from './claim.sql.js';

/** When to look again for rows that others are handling: nothing tells when one of them dies. */
const TAKEN_RETRY_MS = 1_000;

/**
 * Finds in how many milliseconds the next row of a channel becomes due, for a worker whose last claim began `sinceMs` ago;
 * `undefined`: none is known.
 */
export async function findNextDue(
  connection: ClaimConnection,
  context: ClaimContext,
  sinceMs: number,
): Promise<number | undefined> {
  const { rows } = await connection.statement<{ readonly ms: unknown; readonly taken: boolean }>(
    nextDue(context),
    [context.channel, sinceMs],
    'the database to say when the next notification is due',
  );
  const { ms = null, taken = false } = rows[0] ?? {};
  const dueMs = ms === null ? Infinity : Math.max(1, Math.ceil(Number(ms)));
  const nextMs = Math.min(dueMs, taken ? TAKEN_RETRY_MS : Infinity);
  return Number.isFinite(nextMs) ? nextMs : undefined;
}
