import type { ClaimConnection } from '../postgres/claim-connection.js';
import { isServerError } from '../common/server-error.js';
import type { ClaimContext, Platform } from './claim-context.js';
import { readPlatform } from './claim.sql.js';
import { settleClaim } from './given-up.sql.js';

/**
 * Settles the claims that this process has given up without an answer, as far as possible: the next
 * claim counts what the server rejects like a crash. Rejects if the connection is lost; the next
 * one settles the rest.
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

/** Reads which dead-peer settings the server supports. */
export async function findPlatform(connection: ClaimConnection): Promise<Platform> {
  const { rows } = await connection.statement<{ version: string; build: string }>(
    readPlatform,
    [],
    'the database to return its version',
  );
  const { version = '0', build = '' } = rows[0] ?? {};
  const isLinux = build.includes('linux');
  return {
    isKnown: true,
    hasUserTimeout: isLinux && Number(version) >= 120_000,
    hasKeepAlives: isLinux || build.includes('apple'),
  };
}
