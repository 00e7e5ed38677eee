import type { Operation } from '../channels/entity-change.js';
import { dollarQuoted, quoteIdentifier, quoteLiteral, quoteQualified } from '../common/sql-identifier.js';
import { TRIGGER_FUNCTIONS } from '../storage/storage.sql.js';
import { ANY_CHANGE, rowsClause, whenClause } from './condition.js';
import { isGenerated } from './generated-function.sql.js';
import { functionName, triggerName } from './trigger.names.js';
import type { ResolvedTrigger } from './trigger.resolver.js';

/** The trigger of one operation of a declaration. */
export interface OperationTrigger {
  readonly schema: string;
  readonly table: string;
  readonly name: string;
  readonly operation: Operation;
  readonly perRow: boolean;
  readonly oldTable: string | null;
  readonly newTable: string | null;
  readonly condition: string | undefined;
  /** The declared WHEN clause, because PostgreSQL reformats it; null for the usual conditions. */
  readonly comment: string | null;
  readonly functionSchema: string;
  readonly functionName: string;
  readonly arguments: readonly string[];
}

/** Transition tables and WHEN clauses allow one operation per trigger; TRUNCATE has no rows. */
export const operationTriggers = (trigger: ResolvedTrigger, owner: string): OperationTrigger[] =>
  trigger.on.map((operation) => {
    const { schema, table, channel, level, delivery } = trigger;
    const perRow = level === 'row' && operation !== 'truncate';
    const hasTables = level === 'statement' && operation !== 'truncate';
    const condition = perRow ? whenClause(trigger, operation) : undefined;
    const generated = isGenerated(trigger, operation);
    return {
      schema,
      table,
      name: triggerName(channel, operation),
      operation,
      perRow,
      oldTable: hasTables && operation !== 'insert' ? 'old_rows' : null,
      newTable: hasTables && operation !== 'delete' ? 'new_rows' : null,
      condition,
      comment: condition === undefined || condition === ANY_CHANGE ? null : `pgpubsub: when ${condition}`,
      functionSchema: generated ? schema : trigger.storageSchema,
      functionName: generated ? functionName(table, channel) : TRIGGER_FUNCTIONS[delivery],
      arguments: argumentsOf(trigger, owner),
    };
  });

/** See `pgpubsub_broadcast()` and `pgpubsub_store()`. */
function argumentsOf(trigger: ResolvedTrigger, owner: string): string[] {
  const { schema, table, channel, delivery, wake, ordered, primaryKey } = trigger;
  const place = [owner, channel, inJson(schema), inJson(table)];
  return delivery === 'exactly-once'
    ? [...place, wake, ...(ordered ? primaryKey : [])]
    : [...place, ...primaryKey];
}

/** Returns a name as JSON writes it, without quotes. */
const inJson = (name: string): string => JSON.stringify(name).slice(1, -1);

export function createTrigger(trigger: OperationTrigger): string {
  const { schema, table, name, operation, perRow, oldTable, newTable, condition } = trigger;
  const transitions = [oldTable && `old table as ${oldTable}`, newTable && `new table as ${newTable}`].filter(
    Boolean,
  );
  const referencing = transitions.length > 0 ? ` referencing ${transitions.join(' ')}` : '';
  return (
    `create trigger ${quoteIdentifier(name)} after ${operation} on ${quoteQualified(schema, table)}${referencing}\n` +
    `  for each ${perRow ? 'row' : 'statement'}${condition === undefined ? '' : ` when (${condition})`} ` +
    `execute function ${quoteQualified(trigger.functionSchema, trigger.functionName)}(${trigger.arguments.map(quoteLiteral).join(', ')})`
  );
}

export const dropTrigger = (schema: string, table: string, name: string): string =>
  `drop trigger ${quoteIdentifier(name)} on ${quoteQualified(schema, table)}`;

export const commentOnTrigger = (
  { schema, table, name }: Pick<OperationTrigger, 'schema' | 'table' | 'name'>,
  comment: string | null,
): string =>
  `comment on trigger ${quoteIdentifier(name)} on ${quoteQualified(schema, table)} is ${comment === null ? 'null' : quoteLiteral(comment)}`;

/** The states by `pg_trigger.tgenabled`. */
const STATES: Readonly<Record<string, string>> = {
  O: 'enable',
  D: 'disable',
  R: 'enable replica',
  A: 'enable always',
};

export const toggleTrigger = (schema: string, table: string, name: string, enabled: string): string =>
  `alter table ${quoteQualified(schema, table)} ${STATES[enabled]} trigger ${quoteIdentifier(name)}`;

export const dropFunction = (identity: string): string => `drop function ${identity}`;

export const commentOnFunction = (identity: string, comment: string | null): string =>
  `comment on function ${identity} is ${comment === null ? 'null' : quoteLiteral(comment)}`;

/**
 * Fails when the condition of a statement trigger does not fit the table, because PL/pgSQL parses a
 * function's query only when it runs. Uses the search path of the function, and reads no row.
 */
export function checkRows(trigger: ResolvedTrigger, operation: Operation): string {
  const name = quoteQualified(trigger.schema, trigger.table);
  const check = `select from ${name} as new, ${name} as old where (${rowsClause(trigger, operation)}) limit 0`;
  return `do ${dollarQuoted(` declare path text := current_setting('search_path'); begin
  perform set_config('search_path', 'pg_catalog, pg_temp', true);
  execute ${dollarQuoted(check)};
  perform set_config('search_path', path, true);
end `)}`;
}
