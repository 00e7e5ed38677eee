import type { DataSource, QueryRunner } from 'typeorm';
import * as v from 'valibot';
import { ChannelDefinition } from '../channels/channel.definition.js';
import { PgPubSubError, describeValue } from '../common/errors.js';
import { anyObject, group, nonEmptyString, parseShape } from '../common/parse.js';
import { isRefusal } from '../common/refusal.js';
import { quoteIdentifier } from '../common/sql-identifier.js';
import { compareStorage } from '../schema/compare-storage.js';
import type { Storage } from '../schema/storage.sql.js';
import type { Step } from '../schema/step.js';
import { lockSchema, unlockSchema } from './catalog.sql.js';
import { diffSchema, type Check, type SchemaDiff } from './schema-diff.js';
import { assertColumns, assertSeesAll } from './table.check.js';
import { readCatalog, readCatalogTables } from './trigger.catalog.js';
import { triggerName } from './trigger.literals.js';
import {
  defaultSchema,
  resolveTriggers,
  type ResolvedTrigger,
  type TriggerDeclaration,
} from './trigger.resolver.js';

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
  return optionsOf(dataSource).owner ?? `${defaultSchema(dataSource)}.${migrationsTableName}`;
}

export const isWrapped = (dataSource: DataSource): boolean => Reflect.has(dataSource, OPTIONS);

export const declaredTriggers = (dataSource: DataSource): ResolvedTrigger[] =>
  resolveTriggers(dataSource, optionsOf(dataSource).triggers ?? [], storageOf(dataSource).schema);

/** Where notifications of this DataSource are stored, and where TypeORM keeps its migrations. */
export function storageOf(dataSource: DataSource): Storage {
  const { migrationsTableName = 'migrations' } = dataSource.options;
  const [migrationsTable = '', migrationsSchema = defaultSchema(dataSource)] = migrationsTableName
    .split('.') // as TypeORM takes it
    .toReversed();
  return {
    schema:
      optionsOf(dataSource).schema ??
      (Reflect.get(dataSource, STORAGE_SCHEMA) as string | undefined) ??
      defaultSchema(dataSource),
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
  if (!isPatched) patchSchemaBuilder(dataSource);
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
    const triggers = diffSchema(wanted, await readCatalog(own, wanted.flatMap(namesOf)), owner);
    const isNeeded = needsStorage || declaresStorage(dataSource);
    const storage = await compareStorage(own, { storage: storageOf(dataSource), owner, isNeeded, keepsRows });
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

/** The part of TypeORM's schema builder that its commands call; not all of it is in its declarations. */
interface SchemaBuilder {
  log(): Promise<{ upQueries: Query[]; downQueries: Query[] }>;
  build(): Promise<void>;
}

interface Query {
  readonly query: string;
  readonly parameters?: unknown[];
}

/**
 * On the instance, method by method: TypeORM looks at the builder's class, and offers no place for another one. Triggers
 * that go are dropped before the tables change, those that come are created after.
 */
function patchSchemaBuilder(dataSource: DataSource): void {
  const driver = dataSource.driver as unknown as { createSchemaBuilder(): SchemaBuilder };
  const create = driver.createSchemaBuilder.bind(driver);
  driver.createSchemaBuilder = () => {
    const builder = create();
    const log = builder.log.bind(builder);
    const build = builder.build.bind(builder);
    builder.log = async () => {
      const { before, after, checks } = await diffTriggers(dataSource);
      const tables = await log();
      const isChanged = ({ table }: Check) =>
        tables.upQueries.some(({ query }) => query.includes(quoteIdentifier(table)));
      tables.upQueries = [
        ...queries(before, 'up'),
        ...tables.upQueries,
        ...queries([...after, ...checks.filter(isChanged)], 'up'),
      ];
      tables.downQueries = [...queries(before, 'down'), ...tables.downQueries, ...queries(after, 'down')]; // run in reverse
      return tables;
    };
    builder.build = () => synchronize(dataSource, (runner) => buildOn(runner, dataSource, builder, build));
    return builder;
  };
}

const queries = (steps: readonly Step[], direction: 'up' | 'down'): Query[] =>
  steps.flatMap((step) => (step[direction] === undefined ? [] : [verbatim(step[direction])]));

/** `migration:generate --pretty` rewrites statements in place; ours it would break, functions above all. */
const verbatim = (text: string): Query => ({
  get query() {
    return text;
  },
  set query(_) {},
});

/**
 * Several processes may start at once: one after the other. All of it on one connection, which holds the lock: a pool
 * may have no other.
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

/** Has TypeORM's schema builder work on this runner, and leave it open: it asks its DataSource for one of its own. */
async function buildOn(
  runner: QueryRunner,
  dataSource: DataSource,
  builder: SchemaBuilder,
  build: SchemaBuilder['build'],
): Promise<void> {
  const release = runner.release.bind(runner);
  const view = Object.create(dataSource, { createQueryRunner: { value: () => runner } }) as DataSource;
  const names = Object.entries(builder).filter(([, value]) => value === dataSource); // `connection` before TypeORM 1
  for (const [name] of names) Reflect.set(builder, name, view);
  runner.release = () => Promise.resolve();
  try {
    await build();
  } finally {
    runner.release = release;
    for (const [name] of names) Reflect.set(builder, name, dataSource);
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

/** Throws what the error of the server means, where it is known. */
export async function executeStep(runner: QueryRunner, { up, refused }: Step): Promise<void> {
  try {
    if (up !== undefined) await runner.query(up);
  } catch (error) {
    throw refused !== undefined && isRefusal(error) ? refused(error) : error;
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
