import { quoteLiteral } from '../common/sql-identifier.js';

/** The setting from which triggers read the context of their notifications. */
export const CONTEXT = 'pgpubsub.context';

/**
 * Sets a setting of the library until the transaction ends, so that the next user of the pooled
 * session does not read it. SET LOCAL, because set_config() is a query and would take the
 * transaction's snapshot before the first statement.
 */
export const setLocal = (setting: `pgpubsub.${string}`, value: string): string =>
  `set local ${setting} = ${quoteLiteral(value)}`;

/**
 * Sets the context for the transaction of one statement, unless it is set. Uses set_config(),
 * because SET LOCAL warns outside of a transaction block, and qualified names, because the session
 * may have any search_path.
 */
export const contextUnlessSet = (value: string): string =>
  `select pg_catalog.set_config('${CONTEXT}', ${quoteLiteral(value)}, true) ` +
  `where coalesce(pg_catalog.current_setting('${CONTEXT}', true), '') operator(pg_catalog.=) ''`;

const WRITE =
  /^(?:[\s(]|--[^\n]*(?:\n|$)|\/\*(?:[^*]|\*(?!\/))*\*\/)*(?:insert|update|delete|merge|copy|truncate|with|execute)\b/i;

/** Whether the first word changes rows. Calls of functions that write are not recognized. */
export const isWrite = (sql: string): boolean => WRITE.test(sql);
