import type { QueryRunner } from 'typeorm';
import { quoteIdentifier, quoteLiteral, quoteQualified } from '../common/sql-identifier.js';
import { rowsOf, withEmptySearchPath } from '../postgres/empty-search-path.js';
import type { CatalogTable, TableName } from './trigger.catalog.js';
import { triggerName } from './trigger.names.js';
import type { ResolvedTrigger } from './trigger.resolver.js';
import { toggleTrigger } from './trigger.sql.js';
import { readTriggerIssues } from './warnings.sql.js';

interface TriggerIssue extends TableName {
  readonly kind: 'disabled' | 'inherited' | 'moves' | 'fires before';
  readonly member_schema: string;
  readonly member: string;
  readonly ours: string | null;
  readonly other: string | null;
  readonly detail: string | null;
}

/** Returns a sentence with the remedy for each change that correct triggers miss or reorder. */
export async function findWarnings(
  runner: QueryRunner,
  triggers: readonly ResolvedTrigger[],
  tableOf: (place: TableName) => CatalogTable | undefined,
): Promise<string[]> {
  if (triggers.length === 0) return [];
  const places = triggers.flatMap(({ schema, table, channel, on }) =>
    on.map((operation) => [schema, table, triggerName(channel, operation)] as const),
  );
  const names = ([0, 1, 2] as const).map((part) => places.map((place) => place[part]));
  const issues = await withEmptySearchPath(runner, () =>
    rowsOf<TriggerIssue>(runner, readTriggerIssues, names),
  );
  return [
    ...issues.map((issue) => describe(issue, triggers)).filter((text) => text !== undefined),
    ...triggers.map((trigger) => describeUncomputed(trigger, tableOf(trigger))).filter((text) => text !== undefined),
  ]; // prettier-ignore
}

function describe(issue: TriggerIssue, triggers: readonly ResolvedTrigger[]): string | undefined {
  switch (issue.kind) {
    case 'disabled':
      return describeDisabled(issue);
    case 'inherited':
      return describeInherited(issue, triggers);
    case 'moves':
      return describeMoves(issue, triggers);
    case 'fires before':
      return describeEarlier(issue);
    default:
      return issue.kind satisfies never;
  }
}

function describeDisabled({ schema, table, member_schema, member, ours, detail }: TriggerIssue): string {
  const name = ours ?? '';
  const [state, missed] =
    detail === 'D' ? ['is disabled', 'changes'] : ['fires for replicated changes only', 'other changes'];
  return (
    `The trigger "${name}" ${state} on ${member_schema}.${member}, a partition of ${schema}.${table}: ${missed} of its rows are ` +
    `not notified. Enable it: ${toggleTrigger(member_schema, member, name, 'O')};`
  );
}

/** Returns undefined for a table with its own declarations. */
function describeInherited(
  { schema, table, member_schema, member }: TriggerIssue,
  triggers: readonly ResolvedTrigger[],
): string | undefined {
  if (triggers.some((one) => one.schema === member_schema && one.table === member)) return undefined;
  const parents = triggers.filter((one) => one.schema === schema && one.table === table);
  const missed = parents.every(({ level }) => level === 'statement')
    ? `notified only when an UPDATE or DELETE names ${schema}.${table}` // its transition tables have the rows
    : 'not notified';
  const declaration = `{ schema: ${quoteLiteral(member_schema)}, table: ${quoteLiteral(member)} }`;
  return (
    `Changes of the table ${member_schema}.${member}, which inherits from ${schema}.${table}, are ${missed}: triggers are not ` +
    `inherited. Declare it, too: withPgPubSub(dataSource, { triggers: [${declaration}] }).`
  );
}

/** PostgreSQL deletes the row from one partition and inserts it into another. */
function describeMoves(
  { schema, table, ours, detail }: TriggerIssue,
  triggers: readonly ResolvedTrigger[],
): string {
  const declared = triggers.find(
    (one) => one.schema === schema && one.table === table && triggerName(one.channel, 'update') === ours,
  );
  const parts = (['delete', 'insert'] as const).filter((operation) => declared?.on.includes(operation));
  const channel = `on channel "${declared?.channel}"`;
  const [meaning, remedy] = [
    [`is not notified ${channel}`, 'Declare all of insert, update and delete.'],
    [`is notified ${channel} as a${parts[0] === 'insert' ? 'n' : ''} ${parts[0]}`, 'Declare all of insert, update and delete.'],
    [`is notified ${channel} as a delete and an insert`, 'Let the listeners expect both.'],
  ][parts.length] ?? ['', '']; // prettier-ignore
  return `An update of ${detail} that moves a row of ${schema}.${table} to another partition ${meaning}. ${remedy}`;
}

function describeEarlier({ member_schema, member, other }: TriggerIssue): string {
  const name = other ?? '';
  const [trigger, place, behind] = [
    quoteIdentifier(name),
    quoteQualified(member_schema, member),
    `z_${name}`,
  ];
  return (
    `The trigger "${name}" on ${member_schema}.${member} fires before those of this library: where it changes the row again, that ` +
    'change is notified before the one that fired it. ' +
    `Rename it to sort behind "_pgpubsub_": alter trigger ${trigger} on ${place} rename to ${quoteIdentifier(behind)};`
  );
}

/** Names included virtual columns, in which trigger functions see null. */
function describeUncomputed(
  { schema, table, channel, on, columns }: ResolvedTrigger,
  found: CatalogTable | undefined,
): string | undefined {
  const virtual = (found?.virtual ?? []).filter((name) => columns?.includes(name) ?? true);
  if (virtual.length === 0 || on.every((operation) => operation === 'truncate')) return undefined;
  return (
    `Notifications of ${schema}.${table} on channel "${channel}" lack the value of ${virtual.map((name) => `"${name}"`).join(', ')}: ` +
    'PostgreSQL does not compute virtual generated columns for triggers. Make them STORED, or leave them out.'
  );
}
