import { PgPubSubError } from '../common/errors.js';
import { stepsOf, type Finding } from './finding.js';
import { dropFunctionSteps, functionFindings } from './function.diff.js';
import { commentOf, ownerIn } from './owner.js';
import { NO_STORAGE, type FoundFunction, type FoundTable, type StorageCatalog } from './storage.catalog.js';
import {
  dropStorageFunction,
  functionIdentity,
  storageFunctions,
  type StorageFunction,
} from './storage-function.sql.js';
import { NOTIFICATION_TABLE, STORAGE_TABLES, type Storage } from './storage.sql.js';
import type { Difference, Step } from './step.js';
import { dropTableSteps, tableFindings } from './table.diff.js';
import { createSchema, dropSchema, dropTable } from './table.sql.js';

export interface StorageDiff {
  /** To run before the triggers that store are created. */
  readonly create: readonly Step[];
  /** To run after those that stored are gone. */
  readonly drop: readonly Step[];
  readonly differences: readonly Difference[];
}

/**
 * Compares the storage with the catalog, object by object and by what they are. What carries the owner's comment and
 * is not wanted (any more, or there) is dropped. Another owner's is used when it is as wanted, and never changed:
 * otherwise this throws `SCHEMA_DRIFTED`.
 */
export function diffStorage(
  wanted: Storage | undefined,
  catalog: StorageCatalog,
  owner: string,
): StorageDiff {
  const findings = wanted ? findingsOf(wanted, catalog, owner) : [];
  const tables = obsoleteTables(catalog, wanted, owner);
  const functions = obsoleteFunctions(catalog, wanted, owner);
  return {
    create: stepsOf(findings),
    drop: [...functions.flatMap(dropFunctionSteps), ...tables.flatMap(dropTableSteps)],
    differences: [
      ...findings.map(({ kind, object }) => ({ kind, object })),
      ...[...functions, ...tables].map(({ schema, name }) => ({
        kind: 'obsolete' as const,
        object: `${schema}.${name}`,
      })),
    ],
  };
}

/** For an empty schema. */
export const createStorageSteps = (storage: Storage, owner: string): readonly Step[] =>
  diffStorage(storage, NO_STORAGE, owner).create;

export const dropStorageStatements = (storage: Storage): string[] => [
  ...storageFunctions(storage).map((own) => dropStorageFunction(functionIdentity(storage.schema, own))),
  ...STORAGE_TABLES.map(({ name }) => dropTable({ schema: storage.schema, name })),
];

function findingsOf(wanted: Storage, catalog: StorageCatalog, owner: string): Finding[] {
  const { schema } = wanted;
  const tableOf = (name: string) =>
    catalog.tables.find((table) => table.schema === schema && table.name === name);
  const holder = ownerIn(tableOf(NOTIFICATION_TABLE)?.comment) ?? owner;
  const isForeign = holder !== owner;
  const findings = [
    ...STORAGE_TABLES.flatMap((table) => tableFindings(schema, table, tableOf(table.name), holder)),
    ...storageFunctions(wanted).flatMap((definition) =>
      functionFindings(schema, definition, find(catalog, schema, definition), { owner: holder, isForeign }),
    ),
  ];
  if (!isForeign) return catalog.schemaExists ? findings : [missingSchema(schema), ...findings];
  const differences = findings.filter(({ kind }) => kind !== 'obsolete');
  if (differences.length > 0) throw heldByAnother(schema, differences, owner, holder);
  return [];
}

const find = ({ functions }: StorageCatalog, schema: string, { name, types }: StorageFunction) =>
  functions.find((found) => found.schema === schema && found.name === name && found.types === types);

const missingSchema = (schema: string): Finding => ({
  kind: 'missing',
  object: `schema ${schema}`,
  steps: [{ up: createSchema(schema), down: dropSchema(schema) }],
});

/** Of this owner, but not where the storage is wanted: all of them, when none is. */
export const obsoleteTables = (
  { tables }: StorageCatalog,
  wanted: Storage | undefined,
  owner: string,
): FoundTable[] =>
  tables.filter(
    ({ schema, comment, owned }) => owned && comment === commentOf(owner) && schema !== wanted?.schema,
  );

function obsoleteFunctions(
  { functions }: StorageCatalog,
  wanted: Storage | undefined,
  owner: string,
): FoundFunction[] {
  const identities = wanted ? storageFunctions(wanted) : [];
  return functions.filter(
    ({ schema, name, types, comment, owned }) =>
      owned &&
      comment === commentOf(owner) &&
      !(schema === wanted?.schema && identities.some((own) => own.name === name && own.types === types)),
  );
}

const heldByAnother = (schema: string, differences: readonly Difference[], owner: string, holder: string) =>
  new PgPubSubError(
    'SCHEMA_DRIFTED',
    `expected the storage of notifications in the schema "${schema}", which belongs to "${holder}", to be as ` +
      `"${owner}" needs it, got ${differences.map(({ kind, object }) => `${kind}: ${object}`).join('; ')}. ` +
      `Migrate "${holder}" first, with the same version of nestjs-pgpubsub; give withPgPubSub() another "schema"; or, ` +
      `when "${holder}" was the name of this application, the option "owner".`,
  );
