import { deadLetterTable } from '../storage/storage.sql.js';

/**
 * Deletes up to `size` expired dead letters, oldest first: $1 channels, $2 the age in milliseconds
 * that each keeps. Returns their number as `count`. Locks the deleted rows until the transaction
 * ends; skips rows that another process deletes or retries. Uses the index `(channel, died_at)`,
 * which can compare the time of the statement, but not `clock_timestamp()`.
 */
export const deleteExpiredDeadLetters = (schema: string, size: number): string => `
  with gone as (
    delete from ${deadLetterTable(schema)} as letter using (
      select expired.id, expired.listener, expired.letter
      from unnest($1::text[], $2::double precision[]) as kept (channel, keep_ms)
      cross join lateral (
        select n.id, n.listener, n.letter from ${deadLetterTable(schema)} as n
        where n.channel = kept.channel and n.died_at <= statement_timestamp() - kept.keep_ms * interval '1 millisecond'
        order by n.died_at limit ${size} for update skip locked
      ) as expired
      limit ${size}
    ) as portion
    where letter.id = portion.id and letter.listener = portion.listener and letter.letter = portion.letter
    returning 1
  )
  select count(*)::text as count from gone
`;
