import type { Operation } from '../channels/entity-change.js';
import { PgPubSubError, messageOf } from '../common/errors.js';
import { commentOf, ownerIn } from './owner.js';
import type { Difference, Step } from '../common/step.js';
import { comparableSettings } from '../storage/text-settings.sql.js';
import { PRINTED_ANY_CHANGE, isRestricted } from './condition.js';
import { generatedFunctions, type GeneratedFunction } from './generated-function.sql.js';
import type { Catalog, CatalogFunction, CatalogTrigger } from './trigger.catalog.js';
import type { ResolvedTrigger } from './trigger.resolver.js';
import {
  checkRows,
  commentOnFunction,
  commentOnTrigger,
  createTrigger,
  dropFunction,
  dropTrigger,
  operationTriggers,
  toggleTrigger,
  type OperationTrigger,
} from './trigger.sql.js';

/** Triggers and functions that depend on columns of a table, recreated when the columns change. */
export interface Rebuild {
  readonly table: string;
  readonly before: readonly Step[];
  readonly after: readonly Step[];
}

export interface SchemaDiff {
  /** Steps to run before the tables change. */
  readonly before: readonly Step[];
  /** Steps to run afterwards. */
  readonly after: readonly Step[];
  readonly rebuilds: readonly Rebuild[];
  readonly differences: readonly Difference[];
}

interface Found {
  readonly triggers: Map<string, CatalogTrigger>;
  readonly functions: Map<string, CatalogFunction>;
}

interface Changes {
  readonly before: Step[];
  readonly after: Step[];
  readonly rebuilds: Rebuild[];
  readonly differences: Difference[];
}

/**
 * Compares declarations with the catalog, object by object and by definition. Objects of the owner
 * that are no longer declared are dropped. An object of another owner is used if it equals the
 * declaration, and never changed.
 */
export function diffSchema(
  wanted: readonly ResolvedTrigger[],
  { triggers, functions, serverVersion }: Catalog,
  owner: string,
): SchemaDiff {
  const changes: Changes = { before: [], after: [], rebuilds: [], differences: [] };
  const found: Found = {
    triggers: new Map(triggers.map((one) => [keyOf(one.schema, one.table, one.name), one])),
    functions: new Map(functions.map((one) => [keyOf(one.schema, one.name), one])),
  };
  for (const trigger of wanted) {
    const known = changes.differences.length;
    const holders = [
      ...generatedFunctions(trigger, serverVersion).map((wantedFunction) =>
        diffFunction(
          trigger,
          wantedFunction,
          take(found.functions, keyOf(trigger.schema, wantedFunction.name)),
          { owner, changes },
        ),
      ),
      ...operationTriggers(trigger, owner).map((one) =>
        diffTrigger(trigger, one, take(found.triggers, keyOf(one.schema, one.table, one.name)), {
          owner,
          changes,
        }),
      ),
    ];
    const holder = holders.find((one) => one !== undefined && one !== owner);
    if (holder !== undefined && changes.differences.length > known)
      throw heldByAnother(trigger, owner, holder);
  }
  dropObsolete(found, owner, changes);
  return changes;
}

const keyOf = (...parts: readonly string[]): string => JSON.stringify(parts);

function take<T>(map: Map<string, T>, key: string): T | undefined {
  const found = map.get(key);
  map.delete(key);
  return found;
}

interface Context {
  readonly owner: string;
  readonly changes: Changes;
}

/** Returns the owner of the existing function. */
function diffFunction(
  trigger: ResolvedTrigger,
  wanted: GeneratedFunction,
  found: CatalogFunction | undefined,
  { owner, changes }: Context,
): string | undefined {
  const holder = ownerIn(found?.comment) ?? owner;
  if (found && isSameFunction(found, wanted, holder)) {
    // sessions that have compiled the function keep the old types of columns
    const { table } = trigger;
    changes.rebuilds.push({ table, before: [{ down: wanted.create }], after: [{ up: wanted.create }] });
    return holder;
  }
  changes.differences.push({
    kind: found ? 'drifted' : 'missing',
    object: `function ${wanted.schema}.${wanted.name}`,
  });
  if (found)
    changes.before.push(
      { down: commentOnFunction(wanted.identity, found.comment) },
      { down: found.definition },
    );
  changes.after.push(...createFunctionSteps(trigger, wanted, found === undefined, owner));
  return found && holder;
}

const isSameFunction = (found: CatalogFunction, wanted: GeneratedFunction, owner: string): boolean =>
  found.plain &&
  found.trusted &&
  found.body === wanted.body &&
  found.comment === commentOf(owner) &&
  comparableSettings(found.settings) === comparableSettings(wanted.settings);

/**
 * Returns the steps that create a function. Undoing drops only a new one; an old one is restored
 * when the tables are as before, because SQL functions are checked when they are created.
 */
export const createFunctionSteps = (
  trigger: ResolvedTrigger,
  wanted: GeneratedFunction,
  isNew: boolean,
  owner: string,
): Step[] => [
  { up: wanted.create, ...(isNew && { down: dropFunction(wanted.identity) }), ...refusal(trigger) },
  { up: commentOnFunction(wanted.identity, commentOf(owner)) },
];

/** Returns the owner of the existing trigger. */
function diffTrigger(
  trigger: ResolvedTrigger,
  wanted: OperationTrigger,
  found: CatalogTrigger | undefined,
  { changes }: Context,
): string | undefined {
  const object = `trigger ${wanted.name} on ${wanted.schema}.${wanted.table}`;
  const [holder] = found ? argumentsIn(found) : [];
  const note = (kind: Difference['kind']) => changes.differences.push({ kind, object });
  const isSame = found !== undefined && isSameTrigger(found, wanted);
  const isDisabled = found?.enabled === 'D' || found?.enabled === 'R';
  if (found === undefined) {
    note('missing');
    changes.after.push(...createTriggerSteps(trigger, wanted));
  } else if (!isSame || (isDisabled && wanted.comment !== null)) {
    note(isSame ? 'disabled' : 'drifted');
    changes.before.push(...dropTriggerSteps(found));
    changes.after.push(...createTriggerSteps(trigger, wanted));
  } else if (isDisabled) {
    note('disabled');
    const { schema, table, name, enabled } = found;
    changes.after.push({
      up: toggleTrigger(schema, table, name, 'O'),
      down: toggleTrigger(schema, table, name, enabled),
    });
  } else if (wanted.comment !== null) {
    changes.rebuilds.push(rebuildOf(trigger, wanted, found));
  } else if (!wanted.perRow && isRestricted(trigger, wanted.operation))
    changes.rebuilds.push({ table: wanted.table, before: [], after: [checkStep(trigger, wanted.operation)] });
  return holder;
}

/** Recreates a trigger as it was: PostgreSQL rejects changes of columns in a WHEN clause. */
function rebuildOf(trigger: ResolvedTrigger, wanted: OperationTrigger, found: CatalogTrigger): Rebuild {
  const { schema, table, name, enabled } = found;
  const same = { ...wanted, arguments: argumentsIn(found) };
  const toggle = enabled === 'O' ? [] : [{ up: toggleTrigger(schema, table, name, enabled) }];
  return {
    table: wanted.table,
    before: dropTriggerSteps(found),
    after: [...createTriggerSteps(trigger, same), ...toggle],
  };
}

/** Compares all but the owner, the first argument. */
function isSameTrigger(found: CatalogTrigger, wanted: OperationTrigger): boolean {
  const [, ...given] = argumentsIn(found);
  const condition = wanted.condition === undefined ? null : PRINTED_ANY_CHANGE;
  return (
    found.plain &&
    found.type === typeBits(wanted) &&
    found.function_schema === wanted.functionSchema &&
    found.function_name === wanted.functionName &&
    found.old_table === wanted.oldTable &&
    found.new_table === wanted.newTable &&
    JSON.stringify(given) === JSON.stringify(wanted.arguments.slice(1)) &&
    (wanted.comment === null
      ? found.condition === condition
      : found.condition !== null && found.comment === wanted.comment)
  );
}

const argumentsIn = ({ arguments: text }: CatalogTrigger): string[] =>
  Buffer.from(text, 'hex').toString().split('\0').slice(0, -1);

/** Bits of `pg_trigger.tgtype` (see PostgreSQL's pg_trigger.h); no bit means AFTER. */
const ROW_BIT = 1;
const OPERATION_BITS: Record<Operation, number> = { insert: 4, delete: 8, update: 16, truncate: 32 };

const typeBits = ({ operation, perRow }: OperationTrigger): number =>
  OPERATION_BITS[operation] | (perRow ? ROW_BIT : 0);

/** Creates a trigger, after a check of its statement condition, which PL/pgSQL parses later. */
export function createTriggerSteps(trigger: ResolvedTrigger, wanted: OperationTrigger): Step[] {
  const { schema, table, name, comment, perRow, operation } = wanted;
  const check = !perRow && isRestricted(trigger, operation) ? [checkStep(trigger, operation)] : [];
  return [
    ...check,
    { up: createTrigger(wanted), down: dropTrigger(schema, table, name), ...refusal(trigger) },
    ...(comment === null ? [] : [{ up: commentOnTrigger(wanted, comment) }]),
  ];
}

const checkStep = (trigger: ResolvedTrigger, operation: Operation): Step => ({
  up: checkRows(trigger, operation),
  ...refusal(trigger),
});

/** Turns a server error into an error of the declaration, if it has a condition. */
const refusal = (trigger: ResolvedTrigger): Pick<Step, 'refused'> =>
  trigger.when === undefined ? {} : { refused: conditionRefused(trigger) };

const conditionRefused =
  ({ what, table }: ResolvedTrigger) =>
  (cause: unknown): PgPubSubError =>
    new PgPubSubError(
      'INVALID_TRIGGER',
      `${what}: expected "when" to be a condition over OLD and NEW that fits the table "${table}", ` +
        `got: ${messageOf(cause)}. Correct the declaration.`,
      { cause },
    );

/** Drops a trigger. Undoing runs in reverse: first the definition, then state and comment. */
function dropTriggerSteps(found: CatalogTrigger): Step[] {
  const { schema, table, name, comment, enabled, definition } = found;
  return [
    {
      up: dropTrigger(schema, table, name),
      ...(comment !== null && { down: commentOnTrigger(found, comment) }),
    },
    ...(enabled === 'O' ? [] : [{ down: toggleTrigger(schema, table, name, enabled) }]),
    { down: definition },
  ];
}

function dropObsolete({ triggers, functions }: Found, owner: string, { before, differences }: Changes): void {
  for (const found of triggers.values()) {
    if (!found.owned || argumentsIn(found)[0] !== owner) continue;
    differences.push({ kind: 'obsolete', object: `trigger ${found.name} on ${found.schema}.${found.table}` });
    before.push(...dropTriggerSteps(found));
  }
  for (const { schema, name, comment, identity, definition, owned } of functions.values()) {
    if (!owned || ownerIn(comment) !== owner) continue;
    differences.push({ kind: 'obsolete', object: `function ${schema}.${name}` });
    before.push(
      { up: dropFunction(identity), down: commentOnFunction(identity, comment) },
      { down: definition },
    );
  }
}

const heldByAnother = ({ table, channel }: ResolvedTrigger, owner: string, holder: string) =>
  new PgPubSubError(
    'INVALID_TRIGGER',
    `expected the trigger of the table "${table}" for the channel "${channel}" to be as "${owner}" declares it, ` +
      `got another one, which belongs to "${holder}". Declare the same, or give it a channel of its own; ` +
      `when "${holder}" was the name of this application, give withPgPubSub() the option "owner".`,
  );
