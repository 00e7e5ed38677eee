import { dollarQuoted, quoteIdentifier, quoteLiteral, quoteQualified } from '../common/sql-identifier.js';
import type { Operation } from '../channels/entity-change.js';
import { storedFunctionBody } from './stored-function.sql.js';
import { functionBody } from './trigger-function.sql.js';
import type { DeclaredTrigger } from './table.check.js';
import { triggerName, type TriggerLiterals } from './trigger.literals.js';

/**
 * What the text of a row depends on, and must not take from the session that happens to write. The order is that
 * in which the catalog lists it, as given.
 */
const FUNCTION_SETTINGS = [
  ['search_path', 'pg_catalog, pg_temp'],
  ['datestyle', 'ISO'],
  ['intervalstyle', 'postgres'],
  ['bytea_output', 'hex'],
] as const;

/** Of which servers the shortest exact text of a float is the one they write without being told otherwise. */
const EXACT_FLOATS_SINCE = 120_000;

/** With the digits of floats that a session of the DataSource has, and so a repository: 15 on older servers. */
export const functionSettings = (serverVersion: number) =>
  [...FUNCTION_SETTINGS, ['extra_float_digits', serverVersion < EXACT_FLOATS_SINCE ? '0' : '1']] as const;

/** One of the triggers of a declaration: transition tables allow one operation each, TRUNCATE has no rows. */
export interface TriggerVariant {
  readonly name: string;
  readonly operations: readonly Operation[];
  readonly perRow: boolean;
  readonly oldTable: string | null;
  readonly newTable: string | null;
}

export function variantsOf(trigger: TriggerLiterals): TriggerVariant[] {
  const stem = triggerName(trigger);
  const rows = trigger.on.filter((operation) => operation !== 'truncate');
  const none = { oldTable: null, newTable: null };
  const variants: TriggerVariant[] =
    trigger.level === 'row'
      ? rows.length === 0
        ? []
        : [{ name: stem, operations: rows, perRow: true, ...none }]
      : rows.map((operation) => ({
          name: `${stem}_${operation}`,
          operations: [operation],
          perRow: false,
          oldTable: operation === 'insert' ? null : 'old_rows',
          newTable: operation === 'delete' ? null : 'new_rows',
        }));
  if (trigger.on.includes('truncate'))
    variants.push({ name: `${stem}_truncate`, operations: ['truncate'], perRow: false, ...none });
  return variants;
}

export const bodyOf = (trigger: TriggerLiterals): string =>
  trigger.delivery === 'exactly-once' ? storedFunctionBody(trigger) : functionBody(trigger);

/** Creates or replaces the function: `schema:drop` drops tables, and leaves functions behind. */
export function createFunction(trigger: TriggerLiterals, serverVersion: number): string {
  const settings = functionSettings(serverVersion)
    .map(([name, value]) => `set ${name} = ${name === 'search_path' ? value : `'${value}'`}`)
    .join(' ');
  const name = quoteQualified(trigger.schema, triggerName(trigger));
  return `create or replace function ${name}() returns trigger language plpgsql ${settings} as ${dollarQuoted(bodyOf(trigger))}`;
}

export const dropFunction = (schema: string, name: string): string =>
  `drop function ${quoteQualified(schema, name)}()`;

export const dropFunctionAndTriggers = (schema: string, name: string): string =>
  `${dropFunction(schema, name)} cascade`;

export const commentOnFunction = (schema: string, name: string, comment: string | null): string =>
  `comment on function ${quoteQualified(schema, name)}() is ${comment === null ? 'null' : quoteLiteral(comment)}`;

export function createTrigger(trigger: TriggerLiterals, variant: TriggerVariant): string {
  const { schema, table } = trigger;
  const transitions = [
    variant.oldTable && `old table as ${variant.oldTable}`,
    variant.newTable && `new table as ${variant.newTable}`,
  ].filter(Boolean);
  const referencing = transitions.length > 0 ? ` referencing ${transitions.join(' ')}` : '';
  return (
    `create trigger ${quoteIdentifier(variant.name)} after ${variant.operations.join(' or ')} on ${quoteQualified(schema, table)}` +
    `${referencing} for each ${variant.perRow ? 'row' : 'statement'} execute function ${quoteQualified(schema, triggerName(trigger))}()`
  );
}

export const dropTrigger = (schema: string, table: string, name: string): string =>
  `drop trigger ${quoteIdentifier(name)} on ${quoteQualified(schema, table)}`;

export const commentOnTrigger = (
  schema: string,
  table: string,
  name: string,
  comment: string | null,
): string =>
  `comment on trigger ${quoteIdentifier(name)} on ${quoteQualified(schema, table)} is ${comment === null ? 'null' : quoteLiteral(comment)}`;

/** By `pg_trigger.tgenabled`. */
const STATES: Readonly<Record<string, string>> = {
  O: 'enable',
  D: 'disable',
  R: 'enable replica',
  A: 'enable always',
};

export const toggleTrigger = (schema: string, table: string, name: string, enabled: string): string =>
  `alter table ${quoteQualified(schema, table)} ${STATES[enabled]} trigger ${quoteIdentifier(name)}`;

/**
 * Fails when the condition does not fit the table, in the migration instead of at somebody's first write: PL/pgSQL
 * looks at expressions only when it runs them. It runs under the function's own search path, and reads no row. The error
 * is the server's, with its code, and says whose condition it is.
 */
export function checkCondition({ schema, table, what, when }: TriggerCondition): string {
  const name = quoteQualified(schema, table);
  const check = `select from ${name} as new, ${name} as old where (${when}) limit 0`;
  const sentence = `${what}: expected "when" to be a condition over OLD and NEW that fits the table "${table}", got: `;
  return `do ${dollarQuoted(` declare path text := current_setting('search_path'); begin
  perform set_config('search_path', 'pg_catalog, pg_temp', true);
  execute ${dollarQuoted(check)};
  perform set_config('search_path', path, true);
exception when others then
  raise exception using errcode = sqlstate, message = ${dollarQuoted(sentence)} || sqlerrm;
end `)}`;
}

export interface TriggerCondition extends DeclaredTrigger {
  readonly when: string;
}
