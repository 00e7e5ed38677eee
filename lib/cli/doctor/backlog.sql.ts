import { deadLetterTable } from '../../storage/storage.sql.js';

/** Counts the dead letters, at most $1 of them. Locks nothing. */
export const countUpTo = (schema: string): string =>
  `select count(*)::text as count from (select from ${deadLetterTable(schema)} limit $1::bigint) as letters`;
