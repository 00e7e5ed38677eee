import type { ClaimConnection } from '../postgres/claim-connection.js';
import { isServerError } from '../common/server-error.js';
import type { ClaimContext, GivenUpClaim, Platform } from './claim-context.js';
import { readPlatform, settleRows, terminateSession } from './claim.sql.js';

/**
 * Settles the claims that this process has given up without an answer: ends the sessions that the server may keep for
 * them, and says in their rows, where they are known, which of them ran. A commit that the server still works at is left
 * to it. Best effort: what cannot be settled is counted like a crash by the next claim. On a new connection, before it
 * claims; what it does not answer is tried on the next one.
 */
export async function settleGivenUp(connection: ClaimConnection, context: ClaimContext): Promise<void> {
  const { givenUp } = context;
  for (let claim = givenUp[0]; claim !== undefined; claim = givenUp[0]) {
    await settle(connection, context, claim);
    givenUp.shift();
  }
}

async function settle(
  connection: ClaimConnection,
  context: ClaimContext,
  { processId, ids, ran, isCommitting }: GivenUpClaim,
): Promise<void> {
  const what = 'the database to settle a claim';
  try {
    await connection.statement(terminateSession(context, ids, isCommitting), [processId], what);
    if (ids.length > 0)
      await connection.roundTrip(settleRows(context.schema, ids, ran), what, { ends: true });
  } catch (error) {
    if (!isServerError(error)) throw error;
    await connection.roundTrip('rollback', what, { ends: true }); // rows that are still locked are counted by others
  }
}

/** Reads what the server can be told about dead peers. */
export async function findPlatform(connection: ClaimConnection): Promise<Platform> {
  const { rows } = await connection.statement<{ version: string; build: string }>(
    readPlatform,
    [],
    'the database to say its version',
  );
  const { version = '0', build = '' } = rows[0] ?? {};
  const isLinux = build.includes('linux');
  return {
    isKnown: true,
    hasUserTimeout: isLinux && Number(version) >= 120_000,
    hasKeepAlives: isLinux || build.includes('apple'),
  };
}
