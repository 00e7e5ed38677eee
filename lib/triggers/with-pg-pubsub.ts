import type { DataSource, QueryRunner } from 'typeorm';
import * as v from 'valibot';
import { ChannelDefinition } from '../channels/channel.definition.js';
import { PgPubSubError, describeValue } from '../common/errors.js';
import { anyObject, group, nonEmptyString, parseShape } from '../common/parse.js';
import { isServerError } from '../common/server-error.js';
import { quoteIdentifier } from '../common/sql-identifier.js';
import { defaultSchemaOf } from '../postgres/driver.js';
import { extendSchemaBuilder, verbatim, type SchemaStatement } from '../postgres/schema-builder.js';
import { compareStorage } from '../schema/compare-storage.js';
import type { Storage } from '../schema/storage.sql.js';
import type { Step } from '../schema/step.js';
import { lockSchema, unlockSchema } from './catalog.sql.js';
import { diffSchema, type Check, type SchemaDiff } from './schema-diff.js';
import { assertColumns, assertSeesAll } from './table.check.js';
import { readCatalog, readCatalogTables } from './trigger.catalog.js';
import { triggerName } from './trigger.literals.js';
import { resolveTriggers, type ResolvedTrigger, type TriggerDeclaration } from './trigger.resolver.js';

/** Options of {@link withPgPubSub}; all are optional. */
export interface WithPgPubSubOptions {
  /** Definitions that are used without an entity: for one that is exactly-once there have to be tables. */
  readonly channels?: readonly ChannelDefinition[];
  /** Triggers of EntitySchema entities, and of tables without an entity class, such as join tables. */
  readonly triggers?: readonly TriggerDeclaration[];
  /**
   * Whose the triggers are. A DataSource changes and drops those of its own name only, so that several applications
   * can share a database. Without it the schema and name of its migrations table, which applications have to keep apart anyway.
   */
  readonly owner?: string;
  /** Of the tables and functions of stored notifications; without it that of the DataSource. */
  readonly schema?: string;
}

const wrapShape = group({
  channels: v.optional(v.array(v.instance(ChannelDefinition, 'definitions made by defineChannel()'))),
  triggers: v.optional(v.array(anyObject, 'a list of declarations')),
  owner: v.optional(nonEmptyString),
  schema: v.optional(nonEmptyString),
});

const OPTIONS = Symbol.for('nestjs-pgpubsub:with-pg-pubsub');

/** What was given for this DataSource; nothing when it has not been wrapped. */
export function optionsOf(dataSource: DataSource): WithPgPubSubOptions {
  return (Reflect.get(dataSource, OPTIONS) as WithPgPubSubOptions | undefined) ?? {};
}

const STORAGE_SCHEMA = Symbol.for('nestjs-pgpubsub:storage-schema');

/** The module's option `schema`. Throws `INVALID_OPTIONS` when {@link withPgPubSub} was given another one. */
export function setStorageSchema(dataSource: DataSource, schema: string): void {
  const given = optionsOf(dataSource).schema;
  if (given !== undefined && given !== schema) throw otherSchema(schema, given);
  Object.defineProperty(dataSource, STORAGE_SCHEMA, { value: schema, configurable: true });
}

export function ownerOf(dataSource: DataSource): string {
  const { migrationsTableName = 'migrations' } = dataSource.options;
  return optionsOf(dataSource).owner ?? `${defaultSchemaOf(dataSource)}.${migrationsTableName}`;
}

export const isWrapped = (dataSource: DataSource): boolean => Reflect.has(dataSource, OPTIONS);

export const declaredTriggers = (dataSource: DataSource): ResolvedTrigger[] =>
  resolveTriggers(dataSource, optionsOf(dataSource).triggers ?? [], storageOf(dataSource).schema);

/** Where notifications of this DataSource are stored, and where TypeORM keeps its migrations. */
export function storageOf(dataSource: DataSource): Storage {
  const { migrationsTableName = 'migrations' } = dataSource.options;
  const [migrationsTable = '', migrationsSchema = defaultSchemaOf(dataSource)] = migrationsTableName
    .split('.') // as TypeORM takes it
    .toReversed();
  return {
    schema:
      optionsOf(dataSource).schema ??
      (Reflect.get(dataSource, STORAGE_SCHEMA) as string | undefined) ??
      defaultSchemaOf(dataSource),
    migrationsSchema,
    migrationsTable,
  };
}

/** Does a trigger store, or a channel that was given to {@link withPgPubSub}? */
export const declaresStorage = (dataSource: DataSource): boolean =>
  [...(optionsOf(dataSource).channels ?? []), ...declaredTriggers(dataSource)].some(
    ({ delivery }) => delivery === 'exactly-once',
  );

/**
 * Makes TypeORM's own commands see the triggers: `migration:generate` (with `--check`), `migration:run` and `revert`,
 * `schema:log`, `schema:sync`, and `synchronize: true`.
 *
 * ```ts
 * export default withPgPubSub(new DataSource({ type: 'postgres', entities: [Author] }));
 * ```
 *
 * Throws `DATA_SOURCE_UNUSABLE` for other databases. Returns the same DataSource.
 */
export function withPgPubSub<T extends DataSource>(dataSource: T, options: WithPgPubSubOptions = {}): T {
  if (dataSource.options?.type !== 'postgres')
    throw notPostgres(describeValue(dataSource.options?.type ?? dataSource));
  parseShape(wrapShape, options, { code: 'INVALID_TRIGGER', what: 'withPgPubSub()' });
  const isPatched = isWrapped(dataSource);
  Object.defineProperty(dataSource, OPTIONS, { value: options, configurable: true });
  if (!isPatched) extendMigrations(dataSource);
  return dataSource;
}

export interface DiffOptions {
  /** Channels that store are used, beside those that are declared. */
  readonly needsStorage?: boolean;
}

/** What the database lacks, or has too much, against what the DataSource declares: triggers, and where they store. */
export async function diffTriggers(
  dataSource: DataSource,
  { needsStorage = false, keepsRows = false }: DiffOptions & { readonly keepsRows?: boolean } = {},
  runner?: QueryRunner,
): Promise<SchemaDiff> {
  const wanted = declaredTriggers(dataSource);
  const own = runner ?? dataSource.createQueryRunner();
  try {
    await assertFit(own, wanted);
    const owner = ownerOf(dataSource);
    const place = storageOf(dataSource);
    const triggers = diffSchema(wanted, await readCatalog(own, wanted.flatMap(namesOf), place), owner);
    const isNeeded = needsStorage || declaresStorage(dataSource);
    const storage = await compareStorage(own, { storage: place, owner, isNeeded, keepsRows });
    return {
      ...triggers,
      after: [...storage.create, ...triggers.after, ...storage.drop],
      differences: [...storage.differences, ...triggers.differences],
    };
  } finally {
    if (!runner) await own.release();
  }
}

/** Throws for what does not fit the tables as they are; those of entities may be about to change. */
async function assertFit(runner: QueryRunner, wanted: readonly ResolvedTrigger[]): Promise<void> {
  const find = await readCatalogTables(runner, wanted);
  for (const trigger of wanted) {
    const found = find(trigger);
    if (found === undefined) continue;
    assertSeesAll(trigger, found);
    if (trigger.target === undefined) assertColumns(trigger, found);
  }
}

/** Creates, replaces and drops until the database has what is declared. */
export const synchronizeTriggers = (dataSource: DataSource, options: DiffOptions = {}): Promise<void> =>
  synchronize(dataSource, async () => undefined, options);

const namesOf = (trigger: ResolvedTrigger): string[] => {
  const stem = triggerName(trigger);
  return [stem, ...['insert', 'update', 'delete', 'truncate'].map((operation) => `${stem}_${operation}`)];
};

/** Triggers that go are dropped before the tables change, triggers that come are created after. */
const extendMigrations = (dataSource: DataSource): void =>
  extendSchemaBuilder(dataSource, {
    log: async (readTables) => {
      const { before, after, checks } = await diffTriggers(dataSource);
      const tables = await readTables();
      const isChanged = ({ table }: Check) =>
        tables.up.some(({ query }) => query.includes(quoteIdentifier(table)));
      return {
        up: [
          ...statements(before, 'up'),
          ...tables.up,
          ...statements([...after, ...checks.filter(isChanged)], 'up'),
        ],
        down: [...statements(before, 'down'), ...tables.down, ...statements(after, 'down')],
      };
    },
    build: (buildTables) => synchronize(dataSource, buildTables),
  });

const statements = (steps: readonly Step[], direction: 'up' | 'down'): SchemaStatement[] =>
  steps.flatMap((step) => (step[direction] === undefined ? [] : [verbatim(step[direction])]));

/**
 * Several processes may start at once: one after the other. All of it on one connection, which holds the lock: a pool
 * may have no other.
 *
 * no deadline: a part of a migration or of the start, whose locks and duration are the application's
 */
async function synchronize(
  dataSource: DataSource,
  buildTables: (runner: QueryRunner) => Promise<void>,
  options: DiffOptions = {},
): Promise<void> {
  const runner = dataSource.createQueryRunner();
  try {
    await runner.query(lockSchema);
    const { before, after, checks } = await diffTriggers(dataSource, { ...options, keepsRows: true }, runner);
    await execute(runner, before);
    await buildTables(runner);
    await execute(runner, [...after, ...checks]);
  } finally {
    await runner.query(unlockSchema).catch(() => undefined); // a dead connection holds no lock
    await runner.release();
  }
}

async function execute(runner: QueryRunner, steps: readonly Step[]): Promise<void> {
  if (steps.length === 0) return;
  await runner.startTransaction();
  try {
    for (const step of steps) await executeStep(runner, step);
    await runner.commitTransaction();
  } catch (error) {
    await runner.rollbackTransaction();
    throw error;
  }
}

/**
 * Throws what the error of the server means, where it is known.
 *
 * no deadline: a part of a migration or of the start, whose locks and duration are the application's
 */
export async function executeStep(runner: QueryRunner, { up, refused }: Step): Promise<void> {
  try {
    if (up !== undefined) await runner.query(up);
  } catch (error) {
    throw refused !== undefined && isServerError(error) ? refused(error) : error;
  }
}

const otherSchema = (option: string, given: string) =>
  new PgPubSubError(
    'INVALID_OPTIONS',
    `expected the option "schema" to be the one of withPgPubSub(), "${given}", got "${option}". Give both the same.`,
  );

const notPostgres = (type: string) =>
  new PgPubSubError(
    'DATA_SOURCE_UNUSABLE',
    `withPgPubSub(): expected a DataSource of type "postgres", got ${type}. Leave it as it is: only PostgreSQL notifies.`,
  );
