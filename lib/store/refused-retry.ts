import { PgPubSubError, messageOf } from '../common/errors.js';
import { isServerError } from '../common/server-error.js';
import { NOTIFICATION_TABLE } from '../storage/storage.sql.js';
import { RETRY_REFUSED } from './retry.sql.js';

const UNIQUE_VIOLATION = '23505';

/** Whether a new id is taken. Checks the table, because triggers may violate other constraints. */
const isTaken = (error: { readonly code: string; readonly table?: string }): boolean =>
  error.code === UNIQUE_VIOLATION && error.table === NOTIFICATION_TABLE;

/** Throws the error of a retry: `COMPLETION_REFUSED` with a remedy if it would lose letters. */
export function rejectRetry(error: unknown): never {
  if (!isServerError(error)) throw error;
  if (isTaken(error)) throw notPutBack('0 of them', MOVE_SEQUENCE, error);
  const [, count] = new RegExp(`${RETRY_REFUSED} (\\d+ of \\d+)`).exec(messageOf(error)) ?? [];
  throw count === undefined ? error : notPutBack(count, LOOK_FOR_TRIGGER, error);
}

const LOOK_FOR_TRIGGER = `Look for a trigger on the table ${NOTIFICATION_TABLE} that skips rows.`;
const MOVE_SEQUENCE =
  'A letter whose id is in use gets a new one, and the next id of the sequence is in use, too. ' +
  `Advance the sequence, and retry again: select setval(sequence, nextval(sequence) + 1000000000) from pg_get_serial_sequence('${NOTIFICATION_TABLE}', 'id') as sequence.`;

const notPutBack = (count: string, remedy: string, cause: unknown) =>
  new PgPubSubError(
    'COMPLETION_REFUSED',
    `expected the database to put back all dead letters of a retry, got ${count} (${messageOf(cause)}). ` +
      `They remain dead letters. ${remedy}`,
    { cause },
  );
