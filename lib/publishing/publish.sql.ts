import { quoteLiteral } from '../common/sql-identifier.js';

/** Sends one broadcast: $1 channel, $2 text. Takes no lock before commit, where the queue of the cluster has one. */
export const sendBroadcast = 'select pg_notify($1, $2)';

/**
 * Between the texts of one statement: JSON escapes control characters, so that none of them contains it.
 */
export const TEXT_SEPARATOR = '\u0001';

/**
 * Sends any number of broadcasts, in order: $1 their channels, $2 their texts, each behind a separator (so that
 * one empty text is not none). One joined text is cheaper to write, send and take apart than an array or JSON.
 */
export const sendBroadcasts = `
  select count(pg_notify(channel, text))
  from unnest($1::text[], (string_to_array($2, e'\\x01'))[2:]) as sent(channel, text)
`;

/**
 * Sets a setting of ours until the transaction ends: never for the next user of the pooled session. Not by
 * set_config(), which is a query, and would take the transaction's snapshot before its first statement.
 */
export const setLocal = (setting: `pgpubsub.${string}`, value: string): string =>
  `set local ${setting} = ${quoteLiteral(value)}`;

/**
 * The same for the transaction of one statement, unless somebody has set it. By set_config(), because SET LOCAL warns
 * where no transaction was begun; by qualified names, because the session may have any search_path.
 */
export const contextUnlessSet = (setting: `pgpubsub.${string}`, value: string): string =>
  `select pg_catalog.set_config('${setting}', ${quoteLiteral(value)}, true) ` +
  `where coalesce(pg_catalog.current_setting('${setting}', true), '') operator(pg_catalog.=) ''`;

const WRITE =
  /^(?:[\s(]|--[^\n]*(?:\n|$)|\/\*(?:[^*]|\*(?!\/))*\*\/)*(?:insert|update|delete|merge|copy|truncate|with|execute)\b/i;

/** May the statement change rows? By its first word; one that calls a function which does cannot be told. */
export const isWrite = (sql: string): boolean => WRITE.test(sql);
