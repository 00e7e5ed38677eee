import type { ClaimConnection } from '../postgres/claim-connection.js';
import { isServerError } from '../common/server-error.js';
import type { ClaimContext, Platform } from './claim-context.js';
import { readPlatform } from './claim.sql.js';
import { settleClaim } from './given-up.sql.js';

/**
 * Settles the claims that this process has given up without an answer. Best effort: what the server refuses is counted
 * like a crash by the next claim. Rejects when the connection is lost; what was not settled is left for the next one.
 */
export async function settleGivenUp(connection: ClaimConnection, context: ClaimContext): Promise<void> {
  const { givenUp } = context;
  for (let claim = givenUp.shift(); claim !== undefined; claim = givenUp.shift()) {
    try {
      await connection.roundTrip(settleClaim(context, claim), SETTLED, { ends: true });
    } catch (error) {
      if (!isServerError(error)) {
        givenUp.push(claim);
        throw error;
      }
      await connection.roundTrip('rollback', SETTLED, { ends: true }); // the rows are still locked
    }
  }
}

const SETTLED = 'the database to settle a claim';

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
