import { quoteLiteral } from '../common/sql-identifier.js';

/** The setting that triggers read as the context of what they send. */
export const CONTEXT = 'pgpubsub.context';

/**
 * Sets a setting of the library until the transaction ends: never for the next user of the pooled session. Not by
 * set_config(), which is a query, and would take the transaction's snapshot before its first statement.
 */
export const setLocal = (setting: `pgpubsub.${string}`, value: string): string =>
  `set local ${setting} = ${quoteLiteral(value)}`;

/**
 * Sets the context for the transaction of one statement, unless it is set. By set_config(), because SET LOCAL warns where
 * no transaction was begun; by qualified names, because the session may have any search_path.
 */
export const contextUnlessSet = (value: string): string =>
  `select pg_catalog.set_config('${CONTEXT}', ${quoteLiteral(value)}, true) ` +
  `where coalesce(pg_catalog.current_setting('${CONTEXT}', true), '') operator(pg_catalog.=) ''`;

const WRITE =
  /^(?:[\s(]|--[^\n]*(?:\n|$)|\/\*(?:[^*]|\*(?!\/))*\*\/)*(?:insert|update|delete|merge|copy|truncate|with|execute)\b/i;

/** Whether the statement may change rows, by its first word. A call of a function that does cannot be recognised. */
export const isWrite = (sql: string): boolean => WRITE.test(sql);
