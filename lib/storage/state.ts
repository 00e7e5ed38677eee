import type { QueryRunner } from 'typeorm';
import { PgPubSubError } from '../common/errors.js';
import { quoteLiteral } from '../common/sql-identifier.js';
import { rowsOf, withEmptySearchPath } from '../postgres/empty-search-path.js';
import {
  commentOnTable,
  createSchema,
  dropSchema,
  holdsRows,
  readOthers,
  readServer,
  readState,
  readTriggerArguments,
} from './state.sql.js';
import type { Difference, Step } from '../common/step.js';
import { NOTIFICATION_TABLE, deadLetterTable, notificationTable, type Storage } from './storage.sql.js';
import {
  VERSIONS,
  markComment,
  newestVersion,
  readMark,
  type StoragePlace,
  type StorageVersion,
  type VersionMark,
} from './versions.js';

/** An object in the storage's schema with one of its names. */
interface FoundObject {
  readonly kind: 'table' | 'index' | 'function';
  readonly name: string;
  /** Whether its kind is right; false for a view instead of a table. */
  readonly expected: boolean;
  /** Whether its owner is trusted. */
  readonly trusted: boolean;
  readonly role: string | null;
  readonly comment: string | null;
  /** The body of the function that reads the migrations table. */
  readonly source: string | null;
  readonly definition: string | null;
  readonly hash: string;
}

type FoundStorage = Readonly<{ schema: string; comment: string | null }>;

/** The state of the storage in a database. */
export interface StorageState {
  readonly place: StoragePlace;
  readonly schemaExists: boolean;
  readonly objects: readonly FoundObject[];
  /** Whether one of its tables exists. */
  readonly exists: boolean;
  /** Undefined when the table with the comment, or the comment, is missing. */
  readonly mark: VersionMark | undefined;
  readonly others: readonly { readonly schema: string; readonly mark: VersionMark }[];
}

/** Reads the storage. Throws `SCHEMA_DRIFTED` when an object there is a view, or another role's. */
export const readStorage = (runner: QueryRunner, storage: Storage): Promise<StorageState> =>
  withEmptySearchPath(runner, async () => {
    const { schema, migrationsSchema, migrationsTable, role = null } = storage;
    const parameters = [schema, migrationsSchema, migrationsTable, role];
    const objects = await rowsOf<FoundObject>(runner, readState, parameters);
    const others = await rowsOf<FoundStorage>(runner, readOthers, [schema, role]);
    const [server] = await rowsOf<{ version: string; schema_exists: boolean }>(runner, readServer, [schema]);
    const names = new Set(VERSIONS.flatMap((version) => Object.keys(version.objects)));
    const known = objects.filter(({ kind, name }) => kind === 'table' || names.has(`${kind} ${name}`));
    for (const found of known) if (!found.expected || !found.trusted) throw notOurs(schema, found);
    const table = known.find(isMarked);
    return {
      place: { storage, serverVersion: Number(server?.version) },
      schemaExists: server?.schema_exists === true,
      objects: known,
      exists: known.some(({ kind }) => kind === 'table'),
      mark: readMark(table?.comment ?? null),
      others: others.flatMap(({ schema: other, comment }) => {
        const mark = readMark(comment);
        return mark ? [{ schema: other, mark }] : [];
      }),
    };
  });

/** Whether the comment on this object has owner and version. */
const isMarked = ({ kind, name }: FoundObject): boolean => kind === 'table' && name === NOTIFICATION_TABLE;

/** The difference between the storage of a database and the library's version. */
export interface StorageDiff {
  /** To run before triggers are created. */
  readonly create: readonly Step[];
  /** To run after triggers are dropped. */
  readonly drop: readonly Step[];
  /** The schemas whose storage is dropped. */
  readonly dropped: readonly string[];
  readonly differences: readonly Difference[];
}

const NOTHING: StorageDiff = { create: [], drop: [], dropped: [], differences: [] };

/**
 * Compares the storage with the library's version. Only its owner creates, upgrades and drops it.
 * Manual changes are reported, and not repaired. Throws `SCHEMA_DRIFTED` when another owner, or
 * another version of the library, has to act.
 */
export function diffStorage(state: StorageState, owner: string, isNeeded: boolean): StorageDiff {
  const { place, mark, others } = state;
  const wanted = isNeeded ? compare(state, owner) : NOTHING;
  const unused = [...others, ...(!isNeeded && mark ? [{ schema: place.storage.schema, mark }] : [])];
  // a newer storage has objects that this library does not know
  const obsolete = unused.filter(
    (one) => one.mark.owner === owner && one.mark.number <= newestVersion().number,
  );
  return {
    create: wanted.create,
    drop: obsolete.flatMap((old) =>
      upgrade({ ...place, storage: { ...place.storage, schema: old.schema } }, old.mark, 0),
    ),
    dropped: obsolete.map(({ schema }) => schema),
    differences: [
      ...wanted.differences,
      ...obsolete.map(({ schema }) => ({ kind: 'obsolete' as const, object: storageIn(schema) })),
    ],
  };
}

function compare(state: StorageState, owner: string): StorageDiff {
  const { place, exists, mark } = state;
  const { schema } = place.storage;
  const newest = newestVersion();
  if (!exists) return missing(state, owner);
  if (mark === undefined && !state.objects.some(isMarked)) return changedByHand(state, newest, false);
  if (mark === undefined) return drifted(schema, [remark(place, owner)], 'its comment is missing');
  if (mark.number > newest.number && mark.servesFrom > newest.number) throw tooNew(schema, mark);
  if (mark.number > newest.number) return NOTHING;
  if (mark.number < newest.number) {
    if (mark.owner !== owner) throw tooOld(schema, mark, owner);
    const note = `version ${mark.number} instead of ${newest.number}`;
    return drifted(schema, upgrade(place, mark, newest.number), note);
  }
  return changedByHand(state, newest, mark.owner === owner);
}

function missing({ place, schemaExists }: StorageState, owner: string): StorageDiff {
  const { schema } = place.storage;
  const tables = Object.keys(newestVersion().objects).filter((object) => object.startsWith('table '));
  const objects = tables.map((table) => table.replace(' ', ` ${schema}.`));
  return {
    ...NOTHING,
    create: [...(schemaExists ? [] : schemaSteps(schema)), ...createSteps(place, owner)],
    differences: [...(schemaExists ? [] : [`schema ${schema}`]), ...objects].map((object) => ({
      kind: 'missing',
      object,
    })),
  };
}

const drifted = (schema: string, create: readonly Step[], note: string): StorageDiff => ({
  ...NOTHING,
  create,
  differences: [{ kind: 'drifted', object: `${storageIn(schema)} (${note})` }],
});

const storageIn = (schema: string): string => `storage in schema ${schema}`;

const schemaSteps = (schema: string): Step[] => [{ up: createSchema(schema), down: dropSchema(schema) }];

/** Returns the statements that create a version in an existing schema, and that undo it. */
export const createSteps = (
  place: StoragePlace,
  owner: string,
  version: number = newestVersion().number,
): Step[] => upgrade(place, { owner, number: 0, servesFrom: 0 }, version);

/** Returns statements that create or upgrade the storage; all of them if it is up to date. */
export function migrationSql({ place, mark, schemaExists }: StorageState, owner: string): string[] {
  const newest = newestVersion().number;
  const isOlder = mark !== undefined && mark.number < newest;
  const steps = isOlder ? upgrade(place, mark, newest) : createSteps(place, owner);
  const schemaStep = schemaExists ? [] : schemaSteps(place.storage.schema);
  return [...schemaStep, ...steps].flatMap(({ up }) => up ?? []);
}

/** Returns the steps from one version to another, up or down. Version 0 is no storage. */
function upgrade(place: StoragePlace, mark: VersionMark, to: number): Step[] {
  const { owner, number } = mark;
  const isDown = to < number;
  const versions = VERSIONS.filter(
    (one) => one.number > Math.min(number, to) && one.number <= Math.max(number, to),
  );
  const steps = versions.flatMap((version) => [
    ...version
      .down(place)
      .toReversed()
      .map((down) => ({ down })),
    ...version.up(place).map((up) => ({ up })),
    ...remarkSteps(place, version, owner),
  ]);
  return isDown
    ? steps.toReversed().map(({ up, down }: Step) => ({ ...(down && { up: down }), ...(up && { down: up }) }))
    : steps;
}

/** Sets the comment of a version, and restores that of the version before it. */
function remarkSteps(place: StoragePlace, version: StorageVersion, owner: string): Step[] {
  const before = VERSIONS.find(({ number }) => number === version.number - 1);
  const comment = (one: StorageVersion) => commentOn(place, markComment({ owner, ...one }));
  return [...(before ? [{ down: comment(before) }] : []), { up: comment(version) }];
}

const commentOn = ({ storage: { schema } }: StoragePlace, comment: string): string =>
  commentOnTable(notificationTable(schema), quoteLiteral(comment));

const remark = (place: StoragePlace, owner: string): Step => ({
  up: commentOn(place, markComment({ owner, ...newestVersion() })),
  down: commentOnTable(notificationTable(place.storage.schema), 'null'),
});

/** Reports manual changes; repairs only the body that depends on `migrationsTableName`. */
function changedByHand(
  { place, objects }: StorageState,
  version: StorageVersion,
  isOwner: boolean,
): StorageDiff {
  const { schema } = place.storage;
  const changed = Object.entries(version.objects).flatMap(([object, hash]) => {
    const found = objects.filter(({ kind, name }) => `${kind} ${name}` === object);
    if (found.length === 1 && found[0]?.hash === hash) return [];
    const [kind = '', name = ''] = object.split(' ');
    return [{ kind, name, isMissing: found.length === 0 }];
  });
  const missingTables = changed.filter(({ kind, isMissing }) => kind === 'table' && isMissing);
  const differences = changed
    .filter(
      ({ kind, name }) => kind !== 'index' || !missingTables.some((table) => name.startsWith(table.name)),
    )
    .map(({ kind, name, isMissing }): Difference => ({
      kind: isMissing ? 'missing' : 'drifted',
      object: `${kind} ${schema}.${name}`,
      byHand: true,
    }));
  const reader = objects.find(({ source }) => source !== null);
  const own = version.up(place).find((up) => up.includes('"pgpubsub_schema_version"() returns'));
  if (!isOwner || !reader?.definition || !own || own.includes(reader.source ?? '') || differences.length > 0)
    return { ...NOTHING, differences };
  const object = `function ${schema}.${reader.name}`;
  const create = [{ up: own, down: reader.definition }];
  return { ...NOTHING, create, differences: [{ kind: 'drifted', object }] };
}

/** Returns statements that drop the storage. Throws `INVALID_TRIGGER` while other owners use it. */
export async function dropStatements(runner: QueryRunner, storage: Storage): Promise<string[]> {
  const { place, mark } = await readStorage(runner, storage);
  const used = await rowsOf<{ arguments: string }>(runner, readTriggerArguments, [
    storage.schema,
    notificationTable(storage.schema),
  ]);
  const users = used.map((one) => Buffer.from(one.arguments, 'hex').toString().split('\0')[0]);
  const other = users.find((user) => user !== mark?.owner);
  if (other !== undefined) throw inUse(storage.schema, other);
  const steps = upgrade(place, mark ?? { owner: '', ...newestVersion() }, 0);
  return steps.flatMap(({ up }) => (up === undefined ? [] : [up]));
}

/** Whether the storages of the schemas hold notifications or dead letters. */
export async function hasRows(runner: QueryRunner, schemas: readonly string[]): Promise<boolean> {
  if (schemas.length === 0) return false;
  const tables = schemas.flatMap((schema) => [notificationTable(schema), deadLetterTable(schema)]);
  const [found] = await rowsOf<{ holdsRows: boolean }>(runner, holdsRows(tables));
  return found?.holdsRows === true;
}

const notOurs = (schema: string, { kind, name, role, expected }: FoundObject) =>
  new PgPubSubError(
    'SCHEMA_DRIFTED',
    `expected ${schema}.${name} to be a ${kind} of the role that owns the migrations table, or of the current role, ` +
      `got ${expected ? `one of the role "${role ?? ''}"` : 'a view or a partitioned table'}. Drop or rename it. If that role runs the migrations, ` +
      'set the option "role" of withPgPubSub() or forRoot().',
  );

const tooNew = (schema: string, { number, servesFrom }: VersionMark) =>
  new PgPubSubError(
    'SCHEMA_DRIFTED',
    `expected version ${newestVersion().number} of the storage in the schema "${schema}", got version ${number}, ` +
      `which serves libraries of version ${servesFrom} and later. Upgrade nestjs-pgpubsub in this application.`,
  );

const tooOld = (schema: string, { owner, number }: VersionMark, user: string) =>
  new PgPubSubError(
    'SCHEMA_DRIFTED',
    `expected version ${newestVersion().number} of the storage in the schema "${schema}", got version ${number}, which belongs to ` +
      `"${owner}". Migrate "${owner}" first, with the same version of nestjs-pgpubsub; or give withPgPubSub() another "schema", or, ` +
      `if "${owner}" is the former name of "${user}", the option "owner".`,
  );

const inUse = (schema: string, other: string) =>
  new PgPubSubError(
    'INVALID_TRIGGER',
    `expected no triggers of other applications to use the storage in the schema "${schema}", got one of "${other}". ` +
      'Drop them first, in a migration of that application.',
  );
