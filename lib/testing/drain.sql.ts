import { notificationTable } from '../storage/storage.sql.js';

/**
 * Makes delayed rows and rows that wait for a retry due now, on the channels $1. Rows are then
 * claimed in the order in which they were stored; a claim of a row before any of its listeners is
 * due runs all of them. Locks these rows.
 */
export const makeDue = (schema: string): string => `
  update ${notificationTable(schema)} set available_at = now()
  where channel = any($1::text[]) and available_at > now()
`;
