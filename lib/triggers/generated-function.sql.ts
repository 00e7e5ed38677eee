import type { Operation } from '../channels/entity-change.js';
import { dollarQuoted, quoteQualified } from '../common/sql-identifier.js';
import { TEXT_SETTINGS, textSettings } from '../storage/text-settings.sql.js';
import { hasConditionFunction, isRestricted } from './condition.js';
import { rowBody } from './row-function.sql.js';
import { statementBody } from './statement-function.sql.js';
import { conditionFunctionName, functionName } from './trigger.names.js';
import type { ResolvedTrigger } from './trigger.resolver.js';

export interface GeneratedFunction {
  readonly schema: string;
  readonly name: string;
  /** The name with the types of its parameters, as in statements. */
  readonly identity: string;
  readonly body: string;
  /** The settings in the form of `pg_proc.proconfig`. */
  readonly settings: readonly string[];
  readonly create: string;
}

/** Returns the functions that a declaration needs in addition to those of the storage. */
export const generatedFunctions = (trigger: ResolvedTrigger, serverVersion: number): GeneratedFunction[] => [
  ...(trigger.on.some((operation) => isGenerated(trigger, operation))
    ? [triggerFunction(trigger, serverVersion)]
    : []),
  ...(hasConditionFunction(trigger) ? [conditionFunction(trigger)] : []),
];

/** Whether the trigger calls a generated function: for some columns, or a statement condition. */
export const isGenerated = (trigger: ResolvedTrigger, operation: Operation): boolean =>
  operation !== 'truncate' &&
  (trigger.columns !== undefined || (trigger.level === 'statement' && isRestricted(trigger, operation)));

function conditionFunction({ schema, table, channel, when = '' }: ResolvedTrigger): GeneratedFunction {
  const name = conditionFunctionName(table, channel);
  const row = quoteQualified(schema, table);
  const body = `select (${when})`;
  return {
    schema,
    name,
    identity: `${quoteQualified(schema, name)}(${row}, ${row})`,
    body,
    settings: TEXT_SETTINGS.slice(0, 1),
    create: `create or replace function ${quoteQualified(schema, name)}(old ${row}, new ${row}) returns boolean language sql
  set search_path = pg_catalog, pg_temp as ${dollarQuoted(body)}`,
  };
}

function triggerFunction(trigger: ResolvedTrigger, serverVersion: number): GeneratedFunction {
  const { schema, table, channel, level } = trigger;
  const name = functionName(table, channel);
  const operations = trigger.on.filter((operation) => isGenerated(trigger, operation));
  const body = level === 'row' ? rowBody(trigger, operations) : statementBody(trigger, operations);
  const identity = `${quoteQualified(schema, name)}()`;
  return {
    schema,
    name,
    identity,
    body,
    settings: TEXT_SETTINGS,
    create: `create or replace function ${identity} returns trigger language plpgsql
  ${textSettings(serverVersion)} as ${dollarQuoted(body)}`,
  };
}
