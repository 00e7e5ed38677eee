import { HINT_CHANNEL, noteSchemaVersion, notificationTable } from '../storage/storage.sql.js';

/**
 * Sends one broadcast: $1 channel, $2 text. Takes no lock before the commit, which locks the
 * cluster's notification queue. Returns neither columns nor rows: pg would spend as long on them as
 * on the rest of the result.
 */
export const sendBroadcast = 'select where pg_notify($1, $2) is null';

/** Separates the texts of one statement. JSON escapes control characters: no text contains it. */
export const TEXT_SEPARATOR = '\u0001';

/**
 * Sends several broadcasts, in order: $1 their channels, $2 their texts, each after a separator (so
 * that one empty text counts). One joined text is cheaper to write, send and split than an array or
 * JSON. `unnest` has no schema here: PostgreSQL accepts several arrays only without one.
 */
export const sendBroadcasts = `
  select pg_catalog.count(pg_notify(channel, text))
  from unnest($1::text[], (string_to_array($2, e'\\x01'))[2:]) as sent(channel, text)
`;

/**
 * Stores several notifications, in order, and hints at their channels. $1 the channels, or one
 * channel for all; $2 the payloads, joined as above, empty for none; $3 contexts, $4 keys, $5
 * times, $6 delays in milliseconds, each null if no notification has one; $7 the channels to hint
 * at. Shorter lists are filled up with nulls.
 */
export const storeNotifications = (schema: string): string => `
  with stored as (
    insert into ${notificationTable(schema)} (channel, payload, context, key, available_at)
    select coalesce(sent.channel, ($1::text[])[1]), nullif(sent.payload, '')::json, sent.context, sent.key,
      coalesce(sent.available_at, clock_timestamp() + coalesce(sent.delay_ms, 0) * interval '1 millisecond')
    from unnest($1::text[], (string_to_array($2, e'\\x01'))[2:], $3::jsonb[], $4::text[], $5::timestamptz[], $6::float8[])
      with ordinality as sent(channel, payload, context, key, available_at, delay_ms, position)
      cross join (select ${noteSchemaVersion(schema)} offset 0) as noted
    order by sent.position
  )
  select pg_catalog.count(pg_notify('${HINT_CHANNEL}', hinted)) from pg_catalog.unnest($7::text[]) as hinted
`;

/** The optional values of a stored notification: column and expression of each. */
export const STORED_VALUES = {
  context: ['context', (parameter: string) => `${parameter}::jsonb`],
  key: ['key', (parameter: string) => `${parameter}::text`],
  availableAt: ['available_at', (parameter: string) => `${parameter}::timestamptz`],
  delayMs: [
    'available_at',
    (parameter: string) => `clock_timestamp() + ${parameter}::float8 * interval '1 millisecond'`,
  ],
} as const;

export type StoredValue = keyof typeof STORED_VALUES;

/**
 * Stores one notification: $1 channel, $2 payload, from $3 on the values that `given` names; sends
 * a hint if `hints`. Its planning is much cheaper than that of the statement for several: it takes
 * little more than half as long.
 */
export function storeNotification(schema: string, given: readonly StoredValue[], hints: boolean): string {
  const columns = given.map((value) => STORED_VALUES[value][0]);
  const values = given.map((value, index) => STORED_VALUES[value][1](`$${index + 3}`));
  return (
    `insert into ${notificationTable(schema)} (${['channel', 'payload', ...columns].join(', ')}) ` +
    `select ${['$1::text', '$2::json', ...values].join(', ')} from (select ${noteSchemaVersion(schema)} offset 0) as noted` +
    (hints ? ` returning pg_notify('${HINT_CHANNEL}', channel)` : '')
  );
}
