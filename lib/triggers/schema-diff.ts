import type { Operation } from '../channels/entity-change.js';
import { PgPubSubError, messageOf } from '../common/errors.js';
import { commentOf, ownerIn } from '../schema/owner.js';
import type { Difference, Step } from '../schema/step.js';
import type { Catalog, CatalogFunction, CatalogTrigger } from './trigger.catalog.js';
import type { DeclaredTrigger } from './table.check.js';
import { triggerName, type TriggerLiterals } from './trigger.literals.js';
import {
  functionSettings,
  bodyOf,
  checkCondition,
  commentOnFunction,
  commentOnTrigger,
  createFunction,
  createTrigger,
  dropFunction,
  dropTrigger,
  toggleTrigger,
  variantsOf,
  type TriggerCondition,
  type TriggerVariant,
} from './trigger.sql.js';

/** Fails when the condition of a trigger that stays does not fit its table any more. */
export interface Check extends Step {
  readonly table: string;
}

export interface SchemaDiff {
  /** To run before the tables change: what goes. */
  readonly before: readonly Step[];
  /** To run after: what comes. */
  readonly after: readonly Step[];
  /** To run after, where tables change. */
  readonly checks: readonly Check[];
  readonly differences: readonly Difference[];
}

/**
 * Compares declarations with the catalog, object by object and by what they are, not by a mark of ours: what was
 * changed by hand is found. What carries the owner's comment and is not declared any more is dropped. What another owner
 * has is used when it is what is declared, and never changed.
 */
export function diffSchema(
  wanted: readonly DeclaredTrigger[],
  { triggers, functions, serverVersion }: Catalog,
  owner: string,
): SchemaDiff {
  const before: Step[] = [];
  const after: Step[] = [];
  const checks: Check[] = [];
  const differences: Difference[] = [];
  const note = (kind: Difference['kind'], object: string) => differences.push({ kind, object });
  const leftTriggers = new Map(
    triggers.map((found) => [triggerKey(found.schema, found.table, found.name), found]),
  );
  const leftFunctions = new Map(functions.map((found) => [functionKey(found.schema, found.name), found]));

  for (const trigger of wanted) {
    const name = triggerName(trigger);
    const found = take(leftFunctions, functionKey(trigger.schema, name));
    const holder = ownerIn(found?.comment) ?? owner;
    const known = differences.length;
    if (found === undefined || !isSameFunction(found, trigger, holder, serverVersion)) {
      note(found ? 'drifted' : 'missing', `function ${trigger.schema}.${name}`);
      after.push(...functionSteps(trigger, found, owner, serverVersion));
    } else if (trigger.when !== undefined) {
      // replaced by itself: other sessions have compiled it for the types that columns had
      const recompile = { table: trigger.table, up: createFunction(trigger, serverVersion) };
      checks.push({ table: trigger.table, ...conditionStep({ ...trigger, when: trigger.when }) }, recompile);
    }
    for (const variant of variantsOf(trigger)) {
      const existing = take(leftTriggers, triggerKey(trigger.schema, trigger.table, variant.name));
      const kind = triggerDifference(existing, trigger, variant, holder);
      if (kind === undefined) continue;
      note(kind, `trigger ${variant.name} on ${trigger.schema}.${trigger.table}`);
      if (kind === 'disabled' && existing) after.push(...enableSteps(existing));
      else {
        if (existing) before.push(dropTriggerStep(existing), ...existingTriggerExtras(existing));
        after.push(...createTriggerSteps(trigger, variant, owner));
      }
    }
    if (holder !== owner && differences.length > known) throw heldByAnother(trigger, owner, holder);
  }
  const isObsolete = ({ comment, function_comment, owned }: CatalogTrigger) =>
    owned && (ownerIn(comment) ?? ownerIn(function_comment)) === owner;
  for (const found of [...leftTriggers.values()].filter(isObsolete)) {
    note('obsolete', `trigger ${found.name} on ${found.schema}.${found.table}`);
    before.push(dropTriggerStep(found), ...existingTriggerExtras(found));
  }
  for (const found of [...leftFunctions.values()].filter(
    ({ comment, owned }) => owned && ownerIn(comment) === owner,
  )) {
    note('obsolete', `function ${found.schema}.${found.name}`);
    before.push(
      {
        up: dropFunction(found.schema, found.name),
        down: commentOnFunction(found.schema, found.name, found.comment),
      },
      { down: found.definition },
    );
  }
  return { before, after, checks, differences };
}

const triggerKey = (...parts: [schema: string, table: string, name: string]): string => JSON.stringify(parts);
const functionKey = (...parts: [schema: string, name: string]): string => JSON.stringify(parts);

function take<T>(map: Map<string, T>, key: string): T | undefined {
  const found = map.get(key);
  map.delete(key);
  return found;
}

function isSameFunction(
  found: CatalogFunction,
  trigger: TriggerLiterals,
  owner: string,
  serverVersion: number,
): boolean {
  const settings = functionSettings(serverVersion).map(([name, value]) => `${name}=${value}`);
  const floats = settings.at(-1) ?? '';
  const found_ = (found.settings ?? []).map(
    (setting) =>
      setting
        .replace(/^DateStyle=/, 'datestyle=')
        .replace(/^IntervalStyle=/, 'intervalstyle=')
        .replace(/^extra_float_digits=[01]$/, floats), // of a migration that was generated on another server
  );
  return (
    found.plain &&
    found.body === bodyOf(trigger) &&
    found.comment === commentOf(owner) &&
    settings.every((setting) => found_.includes(setting)) &&
    found_.length === settings.length
  );
}

/** Created anew, or replaced; `down` restores what was there, to the letter. */
function functionSteps(
  trigger: DeclaredTrigger,
  found: CatalogFunction | undefined,
  owner: string,
  serverVersion: number,
): Step[] {
  const name = triggerName(trigger);
  const { schema, when } = trigger;
  const steps: Step[] = when === undefined ? [] : [conditionStep({ ...trigger, when })];
  if (found) steps.push({ down: commentOnFunction(schema, name, found.comment) });
  steps.push({
    up: createFunction(trigger, serverVersion),
    down: found ? found.definition : dropFunction(schema, name),
  });
  steps.push({ up: commentOnFunction(schema, name, commentOf(owner)) });
  return steps;
}

export const conditionStep = (trigger: TriggerCondition): Step => ({
  up: checkCondition(trigger),
  refused: conditionRefused,
});

/** The server's error has the sentence already, see {@link checkCondition}. */
const conditionRefused = (cause: unknown): PgPubSubError =>
  new PgPubSubError('INVALID_TRIGGER', `${messageOf(cause)}. Correct the declaration.`, { cause });

function createTriggerSteps(trigger: TriggerLiterals, variant: TriggerVariant, owner: string): Step[] {
  const { schema, table } = trigger;
  return [
    { up: createTrigger(trigger, variant), down: dropTrigger(schema, table, variant.name) },
    { up: commentOnTrigger(schema, table, variant.name, commentOf(owner)) },
  ];
}

/** `down` runs in the reverse order: first the definition, then what belongs to it. */
const dropTriggerStep = ({ schema, table, name, comment }: CatalogTrigger): Step => ({
  up: dropTrigger(schema, table, name),
  ...(comment !== null && { down: commentOnTrigger(schema, table, name, comment) }),
});

function existingTriggerExtras(found: CatalogTrigger): Step[] {
  const steps: Step[] = [{ down: found.definition }];
  if (found.enabled !== 'O')
    steps.unshift({ down: toggleTrigger(found.schema, found.table, found.name, found.enabled) });
  return steps;
}

const enableSteps = ({ schema, table, name, enabled }: CatalogTrigger): Step[] => [
  { up: toggleTrigger(schema, table, name, 'O'), down: toggleTrigger(schema, table, name, enabled) },
];

function triggerDifference(
  found: CatalogTrigger | undefined,
  trigger: TriggerLiterals,
  variant: TriggerVariant,
  owner: string,
): Difference['kind'] | undefined {
  if (found === undefined) return 'missing';
  const isSame =
    found.plain &&
    found.type === typeBits(variant) &&
    found.function_schema === trigger.schema &&
    found.function_name === triggerName(trigger) &&
    found.old_table === variant.oldTable &&
    found.new_table === variant.newTable &&
    found.comment === commentOf(owner);
  if (!isSame) return 'drifted';
  return found.enabled === 'D' || found.enabled === 'R' ? 'disabled' : undefined;
}

/** Bits of `pg_trigger.tgtype`, from PostgreSQL's pg_trigger.h; AFTER is the absence of BEFORE and INSTEAD. */
const ROW_BIT = 1;
const OPERATION_BITS: Record<Operation, number> = { insert: 4, delete: 8, update: 16, truncate: 32 };

const typeBits = ({ operations, perRow }: TriggerVariant): number =>
  operations.reduce((bits, operation) => bits | OPERATION_BITS[operation], perRow ? ROW_BIT : 0);

const heldByAnother = ({ table, channel }: TriggerLiterals, owner: string, holder: string) =>
  new PgPubSubError(
    'INVALID_TRIGGER',
    `expected the trigger of the table "${table}" for the channel "${channel}" to be as "${owner}" declares it, ` +
      `got another one, which belongs to "${holder}". Declare the same, or give it a channel of its own; ` +
      `when "${holder}" was the name of this application, give withPgPubSub() the option "owner".`,
  );
