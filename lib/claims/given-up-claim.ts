import { ClaimConnection } from '../postgres/claim-connection.js';
import type { ClaimContext, Platform } from './claim-context.js';
import { readPlatform, settleRows, terminateSession } from './claim.sql.js';

/** The rows of a claim that was given up. */
export interface GivenUp {
  readonly ids: readonly string[];
  /** The rows that have used up an attempt. */
  readonly ran: readonly string[];
  /** Whether the completion was on its way. */
  readonly isCommitting: boolean;
}

const UNKNOWN: GivenUp = { ids: [], ran: [], isCommitting: false };

/**
 * Ends the session that the server may keep for a claim that was given up, and says in its rows, where they are known,
 * which of them ran. On another connection: the claim's own has no answer to expect.
 */
export async function settleGivenUp(
  { dataSource, processId }: ClaimConnection,
  context: ClaimContext,
  { ids, ran, isCommitting }: GivenUp = UNKNOWN,
): Promise<void> {
  const connection = await ClaimConnection.open(dataSource);
  try {
    const what = 'the database to settle a claim';
    await connection.statement(terminateSession(context, ids, isCommitting), [processId], what);
    if (ids.length > 0)
      await connection.roundTrip(settleRows(context.schema, ids, ran), what, { ends: true });
  } catch (error) {
    await connection.destroy(error);
    throw error;
  }
  await connection.release();
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
