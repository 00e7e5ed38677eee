import { notificationTable } from '../storage/storage.sql.js';

/**
 * What waits on the channels $1 for a later time, be it a delay or a retry, is due now, in the order in which it was stored.
 * Who claims a row before any of its listeners is due runs all of them. Locks these rows.
 */
export const makeDue = (schema: string): string => `
  update ${notificationTable(schema)} set available_at = now()
  where channel = any($1::text[]) and available_at > now()
`;
