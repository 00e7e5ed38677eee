import { deadLetterTable } from '../storage/storage.sql.js';

/** What there are dead letters of. Reads all of them; locks nothing. */
export const readNames = (schema: string): string =>
  `select distinct channel, listener from ${deadLetterTable(schema)} order by channel, listener`;
