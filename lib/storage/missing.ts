import { PgPubSubError, messageOf } from '../common/errors.js';
import { isServerError } from '../common/server-error.js';

/** undefined_table, undefined_function */
const UNDEFINED = new Set(['42P01', '42883']);

/** The name of a table or function of the library; the server's message has it in any language. */
const OURS = /\bpgpubsub_\w+/;

/** Converts errors about missing tables or functions of the library to `STORAGE_MISSING`. */
export function explainMissing(error: unknown): unknown {
  if (!isServerError(error) || !UNDEFINED.has(error.code) || !OURS.test(messageOf(error))) return error;
  return new PgPubSubError(
    'STORAGE_MISSING',
    `expected the database to have the tables and functions of stored notifications, got: ${messageOf(error)}. ` +
      'Give the exactly-once channels to withPgPubSub(dataSource, { channels }), then run "typeorm migration:generate" and ' +
      '"typeorm migration:run"; or start with forRoot({ synchronize: true }), in development.',
    { cause: error },
  );
}
