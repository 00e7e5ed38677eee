import { HINT_CHANNEL, deadLetterTable, notificationTable } from '../storage/storage.sql.js';

/** The start of the text that a retry raises if fewer letters are back than were removed. */
export const RETRY_REFUSED = 'pgpubsub: put back';

/** The columns that a notification gets from its dead letter. */
const BACK = 'channel, payload, context, key, created_at, schema_version, process_id, last_error';

/** The columns that identify a notification. Letters written by hand differ in `created_at`. */
const CONTENT = 'id, channel, key, context, payload_text';

const hasContent = (a: string, b: string): string =>
  [
    `${a}.channel = ${b}.channel`,
    ...['key', 'context', 'payload::text'].map(
      (column) => `${a}.${column} is not distinct from ${b}.${column}`,
    ),
  ].join(' and ');

/**
 * Whether a pending notification is the one that letters belong to: it has their content, and is
 * not pending for any of their listeners.
 */
const isOf = (waiting: string, letters: string): string => `${hasContent(waiting, letters)} and case
    when ${waiting}.listeners is null then ${waiting}.handled_by operator(pg_catalog.@>) ${letters}.listeners
    else not ${waiting}.listeners operator(pg_catalog.&&) ${letters}.listeners end`;

/**
 * Turns dead letters into pending notifications, for their listeners alone, and sends hints. Loses
 * no letter and merges none with another notification, even if several have one id:
 *
 * - `notifications`: letters of equal content belong to as many notifications as one listener has
 *   letters. The n-th letter of each listener belongs to the n-th notification.
 * - `back`: one notification of each id keeps it, and joins its row if that is still pending for
 *   other listeners; waits for a claim of that row. A row of another notification stays as it is.
 * - `renamed`: all others get a new id, by the default of the column: roles that may insert need no
 *   right to its sequence. They are sorted, which also completes `back` before the first insert.
 *
 * Raises, and changes nothing, if fewer letters are back than were removed (a trigger skipped
 * rows), or if a new id is taken. SQL can raise only by casting a text that is no number. Locks the
 * letters, and the rows that they join, until the transaction ends.
 */
export const retryDeadLetters = (schema: string, where: string): string => `
  with gone as (
    delete from ${deadLetterTable(schema)} as n where ${where} returning *
  ), letters as (
    select *, row_number() over (partition by ${CONTENT}, listener order by letter) as number
    from (select *, payload::text collate "C" as payload_text from gone) as removed
  ), notifications as (
    select distinct on (${CONTENT}, number) id, letter, ${BACK},
      pg_catalog.array_agg(listener) over (partition by ${CONTENT}, number) as listeners
    from letters order by ${CONTENT}, number, letter
  ), places as (
    select n.*, row_number() over (partition by n.id order by w.id is null, n.letter) = 1 as keeps_id
    from notifications as n left join ${notificationTable(schema)} as w on w.id = n.id and ${isOf('w', 'n')}
  ), back as (
    insert into ${notificationTable(schema)} as w (id, ${BACK}, listeners)
    select id, ${BACK}, listeners from places where keeps_id order by id
    on conflict (id) do update set
      listeners = case when w.listeners is not null then w.listeners operator(pg_catalog.||) excluded.listeners end,
      handled_by = array(select pg_catalog.unnest(w.handled_by) except select pg_catalog.unnest(excluded.listeners)),
      retries = w.retries - excluded.listeners, available_at = excluded.available_at, deaths = 0
    where ${isOf('w', 'excluded')}
    returning w.id
  ), renamed as (
    insert into ${notificationTable(schema)} (${BACK}, listeners)
    select ${BACK}, listeners from places
    where not keeps_id or id not in (select id from back)
    order by letter
    returning channel, listeners
  ), done as (
    select channel, listeners from places where keeps_id and id in (select id from back)
    union all select channel, listeners from renamed
  ), counts as (
    select (select count(*) from gone) as removed, (select coalesce(sum(pg_catalog.cardinality(listeners)), 0) from done) as done
  ), hinted as (
    select pg_catalog.count(pg_notify('${HINT_CHANNEL}', channel)) from (select distinct channel from done) as channels
  )
  select case when done = removed then removed::text
    else pg_catalog.concat('${RETRY_REFUSED} ', done, ' of ', removed)::bigint::text end as count
  from counts, hinted
`;
