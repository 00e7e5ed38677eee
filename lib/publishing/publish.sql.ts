/**
 * Sends any number of broadcasts, in order: $1 is a JSON array of `[channel, text]` pairs, because one value is
 * cheaper to bind than arrays, and JSON text cheaper than array text. Takes no lock before commit, where
 * PostgreSQL holds one cluster-wide lock while it appends to the queue.
 */
export const sendBroadcasts = `
  select count(pg_notify(pair ->> 0, pair ->> 1)) from json_array_elements($1::json) as pair
`;
