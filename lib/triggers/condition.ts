import type { Operation } from '../channels/entity-change.js';
import { quoteIdentifier, quoteLiteral, quoteQualified } from '../common/sql-identifier.js';
import { sqlTokens, type SqlToken } from '../postgres/sql-tokens.js';
import { conditionFunctionName } from './trigger.names.js';
import type { ResolvedTrigger } from './trigger.resolver.js';

export const HAS_OLD: ReadonlySet<Operation> = new Set(['update', 'delete']);
export const HAS_NEW: ReadonlySet<Operation> = new Set(['insert', 'update']);

/**
 * Whether an update changes something: by value, also for types without an equality operator, such
 * as json. Qualified, because an operator that another role creates for rows of this table would
 * match better.
 */
export const ANY_CHANGE = 'old.* operator(pg_catalog.*<>) new.*';
/** `ANY_CHANGE` as PostgreSQL prints it with an empty search path. */
export const PRINTED_ANY_CHANGE = '(old.* *<> new.*)';

/** Returns the WHEN clause of a row trigger; undefined when it fires for every row. */
export function whenClause(trigger: ResolvedTrigger, operation: Operation): string | undefined {
  if (operation === 'truncate') return undefined;
  const { when } = trigger;
  const own =
    when === undefined || isPlain(when) ? withoutRow(trigger, operation) : callCondition(trigger, operation);
  return joined([changeOf(trigger, operation), ...restrictions(trigger, operation, own)]);
}

/** Returns the conditions on a statement's rows, `old` and `new`; undefined for every row. */
export const rowsClause = (trigger: ResolvedTrigger, operation: Operation): string | undefined =>
  joined([changeOf(trigger, operation), ...restrictions(trigger, operation, trigger.when)]);

/** Whether an operation has more conditions than that a row changes. */
export const isRestricted = (trigger: ResolvedTrigger, operation: Operation): boolean => {
  const clause = operation === 'truncate' ? undefined : rowsClause(trigger, operation);
  return clause !== undefined && clause !== ANY_CHANGE;
};

/** Whether the condition needs a function, because a WHEN clause allows no subquery. */
export const hasConditionFunction = ({ level, when }: ResolvedTrigger): boolean =>
  level === 'row' && when !== undefined && !isPlain(when);

const joined = (conditions: readonly (string | undefined)[]): string | undefined => {
  const all = conditions.filter((condition) => condition !== undefined);
  return all.length > 1 ? all.map((condition) => `(${condition})`).join(' and ') : all[0];
};

const changeOf = ({ of }: ResolvedTrigger, operation: Operation): string | undefined => {
  if (operation !== 'update') return undefined;
  if (of.length === 0) return ANY_CHANGE;
  const row = (alias: string) =>
    `row(${of.map((column) => `${alias}.${quoteIdentifier(column)}`).join(', ')})`;
  return `record_image_ne(${row('old')}, ${row('new')})`; // the function of *<>, which compares column by column
};

function restrictions(
  { discriminator }: ResolvedTrigger,
  operation: Operation,
  when: string | undefined,
): (string | undefined)[] {
  const row = HAS_NEW.has(operation) ? 'new' : 'old';
  const kind =
    discriminator &&
    `${row}.${quoteIdentifier(discriminator.column)}::text in (${discriminator.values.map(quoteLiteral).join(', ')})`;
  return [kind, when];
}

/** Every subquery has one of these. `with` is also in types such as `timestamp with time zone`. */
const SUBQUERIES: ReadonlySet<string> = new Set(['select', 'values', 'table']);

/** Whether a WHEN clause takes the condition: no subquery, no `.*` of a row that may be null. */
function isPlain(condition: string): boolean {
  const tokens = [...sqlTokens(condition, { backslashes: false })];
  return !tokens.some(
    (token, at) =>
      (token.kind === 'word' && SUBQUERIES.has(token.text) && !isSymbol(tokens[at - 1], '.')) ||
      (isSymbol(token, '*') && isSymbol(tokens[at - 1], '.')),
  );
}

const isSymbol = (token: SqlToken | undefined, text: string): boolean =>
  token?.kind === 'symbol' && token.text === text;

/** Replaces the row that the operation does not have by null; a WHEN clause rejects its name. */
function withoutRow({ when, schema, table }: ResolvedTrigger, operation: Operation): string | undefined {
  const missing = HAS_OLD.has(operation) ? (HAS_NEW.has(operation) ? undefined : 'new') : 'old';
  if (when === undefined || missing === undefined) return when;
  const tokens = [...sqlTokens(when, { backslashes: false })];
  let replaced = '';
  let at = 0;
  for (const [index, token] of tokens.entries()) {
    if (token.text !== missing || !isRow(tokens, index)) continue;
    const length = token.kind === 'quoted' ? missing.length + 2 : missing.length;
    replaced += `${when.slice(at, token.end - length)}(null::${quoteQualified(schema, table)})`;
    at = token.end;
  }
  return replaced + when.slice(at);
}

/** Whether a name is a row, not a member (`new.old`) or an argument (`old => 1`, `old := 1`). */
function isRow(tokens: readonly SqlToken[], index: number): boolean {
  const [kind, next, afterNext] = [tokens[index]?.kind, tokens[index + 1], tokens[index + 2]];
  const isArgument =
    (isSymbol(next, '=') && isSymbol(afterNext, '>')) || (isSymbol(next, ':') && isSymbol(afterNext, '='));
  return (kind === 'word' || kind === 'quoted') && !isSymbol(tokens[index - 1], '.') && !isArgument;
}

/** Calls the condition's function, with null for the row that the operation does not have. */
function callCondition({ schema, table, channel }: ResolvedTrigger, operation: Operation): string {
  const name = quoteQualified(schema, conditionFunctionName(table, channel));
  const nothing = `null::${quoteQualified(schema, table)}`; // typed, because another function of that name could take a text
  return `${name}(${HAS_OLD.has(operation) ? 'old.*' : nothing}, ${HAS_NEW.has(operation) ? 'new.*' : nothing})`;
}
