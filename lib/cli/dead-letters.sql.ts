import { deadLetterTable } from '../storage/storage.sql.js';

/** Returns the channels and listeners that have dead letters. Reads all letters; locks nothing. */
export const readNames = (schema: string): string =>
  `select distinct channel, listener from ${deadLetterTable(schema)} order by channel, listener`;
