import { PgPubSubError } from '../common/errors.js';
import { columnFindings } from './column.diff.js';
import { finding, type Finding } from './finding.js';
import { commentOf } from './owner.js';
import type { FoundTable } from './storage.catalog.js';
import type { Step } from './step.js';
import {
  STORAGE_INDEXES,
  createIndex,
  createTable,
  primaryKeyName,
  type StorageIndex,
  type StorageTable,
} from './storage.sql.js';
import {
  addConstraint,
  commentOnTable,
  dropConstraint,
  dropIndex,
  dropTable,
  recreateTable,
  setLogged,
  setParameter,
} from './table.sql.js';

const indexesOf = ({ name }: StorageTable): StorageIndex[] =>
  STORAGE_INDEXES.filter(({ table }) => table === name);

/** Everything by which a table differs from what is wanted. Indexes beside ours are left alone: they may serve somebody. */
export function tableFindings(
  schema: string,
  wanted: StorageTable,
  found: FoundTable | undefined,
  owner: string,
): Finding[] {
  const name = `${schema}.${wanted.name}`;
  if (found === undefined) return [finding('missing', `table ${name}`, createSteps(schema, wanted, owner))];
  if (found.kind !== 'r') throw notATable(name);
  return [
    ...columnFindings(wanted.columns, found),
    ...constraintFindings(wanted, found),
    ...indexesOf(wanted).flatMap((index) => indexFindings(index, found)),
    ...settingFindings(wanted, found),
    ...(found.logged ? [] : [loggedFinding(found)]),
    ...(found.comment === commentOf(owner) ? [] : [commentFinding(found, owner)]),
  ];
}

function createSteps(schema: string, table: StorageTable, owner: string): Step[] {
  const place = { schema, name: table.name };
  return [
    { up: createTable(schema, table), down: dropTable(place) },
    { up: commentOnTable(place, commentOf(owner)) },
    ...indexesOf(table).map((index) => ({ up: createIndex(schema, index) })),
  ];
}

/** The primary key, and nothing else: other constraints would refuse notifications. */
function constraintFindings(wanted: StorageTable, found: FoundTable): Finding[] {
  const key = { name: primaryKeyName(wanted), definition: `PRIMARY KEY (${wanted.primaryKey.join(', ')})` };
  const isKey = ({ name, definition }: typeof key) => name === key.name && definition === key.definition;
  const findings = found.constraints
    .filter((constraint) => !isKey(constraint))
    .map(({ name, definition }) =>
      finding(
        'obsolete',
        `constraint ${name} of ${found.schema}.${found.name}`,
        [],
        [{ up: dropConstraint(found, name), down: addConstraint(found, name, definition) }],
      ),
    );
  if (found.constraints.some(isKey)) return findings;
  const add = { up: addConstraint(found, key.name, key.definition), down: dropConstraint(found, key.name) };
  return [...findings, finding('missing', `primary key of ${found.schema}.${found.name}`, [add])];
}

function indexFindings(index: StorageIndex, { schema, indexes }: FoundTable): Finding[] {
  const found = indexes.find(({ name }) => name === index.name);
  if (found?.valid === true && found.described === index.definition) return [];
  const create = { up: createIndex(schema, index), down: dropIndex(schema, index.name) };
  const before = found ? [{ up: dropIndex(schema, index.name), down: found.definition }] : [];
  return [finding(found ? 'drifted' : 'missing', `index ${schema}.${index.name}`, [create], before)];
}

function settingFindings(wanted: StorageTable, found: FoundTable): Finding[] {
  const from = new Map((found.settings ?? []).map(parseSetting));
  const to = new Map(wanted.settings);
  const steps = [...new Set([...from.keys(), ...to.keys()])]
    .filter((name) => from.get(name) !== to.get(name))
    .map((name) => ({
      up: setParameter(found, name, to.get(name)),
      down: setParameter(found, name, from.get(name)),
    }));
  return steps.length === 0 ? [] : [finding('drifted', `settings of ${found.schema}.${found.name}`, steps)];
}

function parseSetting(setting: string): [name: string, value: string] {
  const at = setting.indexOf('=');
  return [setting.slice(0, at), setting.slice(at + 1)];
}

/** Unlogged, it would be empty after a crash. */
const loggedFinding = (found: FoundTable): Finding =>
  finding('drifted', `table ${found.schema}.${found.name}`, [
    { up: setLogged(found, true), down: setLogged(found, false) },
  ]);

const commentFinding = (found: FoundTable, owner: string): Finding =>
  finding('drifted', `comment of ${found.schema}.${found.name}`, [
    { up: commentOnTable(found, commentOf(owner)), down: commentOnTable(found, found.comment) },
  ]);

/** `down` runs in the reverse order: first the table, then what belongs to it. */
export const dropTableSteps = (found: FoundTable): Step[] => [
  { up: dropTable(found), down: commentOnTable(found, found.comment) },
  ...found.indexes.map(({ definition }) => ({ down: definition })),
  ...found.constraints.map(({ name, definition }) => ({ down: addConstraint(found, name, definition) })),
  { down: recreateTable(found) },
];

const notATable = (name: string) =>
  new PgPubSubError(
    'SCHEMA_DRIFTED',
    `expected ${name} to be a table, as it is created, got a view or a partitioned table. Rename it: this is where ` +
      'notifications are stored, or give withPgPubSub() another "schema".',
  );
