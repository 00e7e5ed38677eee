import type { DataSource, QueryRunner } from 'typeorm';
import type { ChannelDefinition } from '../channels/channel.definition.js';
import { PgPubSubError } from '../common/errors.js';
import { defaultSchemaOf } from '../postgres/driver.js';
import { verbatim, type SchemaStatement, type SchemaStatements } from '../postgres/schema-builder.js';
import { diffStorage, hasRows, readStorage } from '../storage/state.js';
import type { Difference, Step } from '../common/step.js';
import type { Storage } from '../storage/storage.sql.js';
import { executeSteps } from './execute-steps.js';
import { generatedFunctions } from './generated-function.sql.js';
import { diffSchema, type Rebuild } from './schema-diff.js';
import { SCHEMA_LOCK_TIMEOUT_MS, lockSchema, unlockSchema } from './schema-lock.js';
import { assertColumns, assertComputed, assertSeesAll } from './table.check.js';
import { isAffected } from './affected-tables.js';
import {
  findServer,
  readCatalog,
  readCatalogTables,
  type CatalogTable,
  type TableName,
} from './trigger.catalog.js';
import { triggerName } from './trigger.names.js';
import { completed } from './trigger.completion.js';
import { resolveTriggers, type ResolvedTrigger, type TriggerDeclaration } from './trigger.resolver.js';
import { findWarnings } from './trigger.warnings.js';
import { OPERATIONS } from '../channels/entity-change.js';

/** Options of {@link withPgPubSub}; all are optional. */
export interface WithPgPubSubOptions {
  /** Definitions that are used without an entity: for one that is exactly-once there have to be tables. */
  readonly channels?: readonly ChannelDefinition[];
  /** Triggers of EntitySchema entities, and of tables without an entity class, such as join tables. */
  readonly triggers?: readonly TriggerDeclaration[];
  /**
   * The name of the application that the triggers belong to. A DataSource changes and drops those of its own name only, so that
   * several applications can share a database. Without it the schema and name of its migrations table, which applications
   * have to keep apart anyway.
   */
  readonly owner?: string;
  /** The schema of the library's tables and functions; without it that of the DataSource. */
  readonly schema?: string;
  /**
   * The role that owns the library's objects in the database, where it is neither the owner of the migrations table nor the
   * current role: objects of other roles are never used.
   */
  readonly role?: string;
}

/** The difference between a database and the declarations. */
export interface DatabaseDiff {
  /** To run before the tables change: what goes. */
  readonly before: readonly Step[];
  /** To run after: what comes. */
  readonly after: readonly Step[];
  /** To run around changes of the tables they name. */
  readonly rebuilds: readonly Rebuild[];
  readonly differences: readonly Difference[];
  /** Sentences about changes that correct triggers miss, each with its remedy. */
  readonly warnings: readonly string[];
}

export interface DiffOptions {
  /** Whether channels that store are used beside those that are declared. */
  readonly needsStorage?: boolean;
}

interface SynchronizeOptions extends DiffOptions {
  /** How long to wait for another process that changes the schema, in milliseconds. */
  readonly lockTimeoutMs?: number;
}

/** The properties that the module's options give a DataSource. */
interface Given {
  readonly schema?: string | undefined;
  readonly role?: string | undefined;
}

const OPTIONS = Symbol.for('nestjs-pgpubsub:with-pg-pubsub');
const GIVEN = Symbol.for('nestjs-pgpubsub:given');

/**
 * A DataSource as this library sees it: what it declares, where its storage is, and how its database differs. It holds no
 * connection. Several of them for one DataSource say the same.
 */
export class Database {
  private constructor(readonly dataSource: DataSource) {}

  static of(dataSource: DataSource): Database {
    return new Database(dataSource);
  }

  /** The options of `withPgPubSub()`; none when it was not called. */
  get options(): WithPgPubSubOptions {
    return (Reflect.get(this.dataSource, OPTIONS) as WithPgPubSubOptions | undefined) ?? {};
  }

  /** Sets the options of `withPgPubSub()`. Returns whether they are the first. */
  wrap(options: WithPgPubSubOptions): boolean {
    const isFirst = !this.isWrapped;
    Object.defineProperty(this.dataSource, OPTIONS, { value: options, configurable: true });
    return isFirst;
  }

  get isWrapped(): boolean {
    return Reflect.has(this.dataSource, OPTIONS);
  }

  /** Takes options of the module. Throws `INVALID_OPTIONS` when `withPgPubSub()` was given another value. */
  use(given: Given): void {
    for (const name of ['schema', 'role'] as const) {
      const before = this.options[name];
      const value = given[name];
      if (before !== undefined && value !== undefined && before !== value)
        throw otherOption(name, value, before);
    }
    Object.defineProperty(this.dataSource, GIVEN, { value: { ...this.given, ...given }, configurable: true });
  }

  private get given(): Given {
    return (Reflect.get(this.dataSource, GIVEN) as Given | undefined) ?? {};
  }

  /** The name of the application that owns triggers and storage. */
  get owner(): string {
    const { migrationsTableName = 'migrations' } = this.dataSource.options;
    return this.options.owner ?? `${defaultSchemaOf(this.dataSource)}.${migrationsTableName}`;
  }

  /** The place of the library's tables and functions, and of TypeORM's migrations. */
  get storage(): Storage {
    const { migrationsTableName = 'migrations' } = this.dataSource.options;
    const [migrationsTable = '', migrationsSchema = defaultSchemaOf(this.dataSource)] = migrationsTableName
      .split('.') // as TypeORM takes it
      .toReversed();
    const schema = this.options.schema ?? this.given.schema ?? defaultSchemaOf(this.dataSource);
    return { schema, migrationsSchema, migrationsTable, role: this.options.role ?? this.given.role };
  }

  /** The declarations of entities and of `withPgPubSub()`. Throws `INVALID_TRIGGER` for what cannot be meant. */
  get triggers(): readonly ResolvedTrigger[] {
    const { dataSource } = this;
    const { schema } = this.storage;
    const cached = CACHE.get(dataSource);
    if (
      cached?.metadatas === dataSource.entityMetadatas &&
      cached.options === this.options &&
      cached.schema === schema
    )
      return cached.triggers;
    const triggers = resolveTriggers(dataSource, this.options.triggers ?? [], schema);
    CACHE.set(dataSource, { metadatas: dataSource.entityMetadatas, options: this.options, schema, triggers });
    return triggers;
  }

  /** The names of the declared exactly-once channels. */
  get storedChannels(): string[] {
    const channels = [
      ...(this.options.channels ?? []),
      ...this.triggers.map(({ channel, delivery }) => ({ name: channel, delivery })),
    ];
    return channels.filter(({ delivery }) => delivery === 'exactly-once').map(({ name }) => name);
  }

  /** Whether the declarations need the storage: for its tables, or for the functions of their triggers. */
  get needsStorage(): boolean {
    return this.triggers.length > 0 || this.storedChannels.length > 0;
  }

  /** Compares the database with the declarations. Changes nothing. */
  async diff(
    { needsStorage = false, keepsRows = false }: DiffOptions & { readonly keepsRows?: boolean } = {},
    runner?: QueryRunner,
  ): Promise<DatabaseDiff> {
    const own = runner ?? this.dataSource.createQueryRunner();
    try {
      const { owner } = this;
      const isNeeded = needsStorage || this.needsStorage;
      const state = await readStorage(own, this.storage);
      const storage = diffStorage(state, owner, isNeeded);
      const drop = keepsRows && (await hasRows(own, storage.dropped)) ? [] : storage.drop;
      const tableOf = await readCatalogTables(own, this.triggers);
      const wanted = await this.completeTriggers(own, tableOf);
      const names = wanted.flatMap((trigger) => namesOf(trigger, state.place.serverVersion));
      const triggers = diffSchema(wanted, await readCatalog(own, names, this.storage), owner);
      return {
        ...triggers,
        after: [...storage.create, ...triggers.after, ...drop],
        differences: [...storage.differences, ...triggers.differences],
        warnings: await findWarnings(own, wanted, tableOf),
      };
    } finally {
      if (!runner) await own.release();
    }
  }

  /** Throws for what does not fit the tables as they are; those of entities may be about to change. */
  private async completeTriggers(
    runner: QueryRunner,
    tableOf: (place: TableName) => CatalogTable | undefined,
  ): Promise<ResolvedTrigger[]> {
    const server = await findServer(runner);
    return this.triggers.map((trigger) => {
      const found = tableOf(trigger);
      if (found === undefined) return completed(trigger, found, server);
      assertSeesAll(trigger, found);
      assertComputed(trigger, found);
      if (trigger.target === undefined) assertColumns(trigger, found);
      return completed(trigger, found, server);
    });
  }

  /** The statements of a migration: triggers that go are dropped before the tables change, triggers that come are created after. */
  async migration(readTables: () => Promise<SchemaStatements>): Promise<SchemaStatements> {
    const diff = await this.diff();
    const tables = await readTables();
    const { before, after } = around(diff, tables);
    return {
      up: [...statements(before, 'up'), ...tables.up, ...statements(after, 'up')],
      down: [...statements(before, 'down'), ...tables.down, ...statements(after, 'down')],
    };
  }

  /**
   * Changes the database until it has what is declared. Several processes may start at once: one after the other. All of it on
   * one connection, which holds the lock: a pool may have no other. Throws `TIMED_OUT` when the lock is not free in time: any
   * role that may connect can take it.
   *
   * no deadline: a part of a migration or of the start, whose locks and duration are the application's
   */
  async synchronize(
    { lockTimeoutMs = SCHEMA_LOCK_TIMEOUT_MS, ...options }: SynchronizeOptions = {},
    tables: {
      read(runner: QueryRunner): Promise<SchemaStatements>;
      build(runner: QueryRunner): Promise<void>;
    } = NO_TABLES,
  ): Promise<void> {
    const runner = this.dataSource.createQueryRunner();
    let isLocked = false;
    try {
      await lockSchema(runner, lockTimeoutMs);
      isLocked = true;
      const diff = await this.diff({ ...options, keepsRows: true }, runner);
      const { before, after } = around(diff, diff.rebuilds.length > 0 ? await tables.read(runner) : NOTHING);
      await executeSteps(runner, before);
      await tables.build(runner);
      await executeSteps(runner, after);
    } finally {
      if (isLocked) await unlockSchema(runner);
      await runner.release();
    }
  }
}

const CACHE = new WeakMap<
  DataSource,
  {
    readonly metadatas: unknown;
    readonly options: WithPgPubSubOptions;
    readonly schema: string;
    readonly triggers: readonly ResolvedTrigger[];
  }
>();

const NOTHING: SchemaStatements = { up: [], down: [] };

/** For a start that leaves the tables alone. */
const NO_TABLES = { read: async () => NOTHING, build: async () => undefined };

const namesOf = (trigger: ResolvedTrigger, serverVersion: number): string[] => [
  ...OPERATIONS.map((operation) => triggerName(trigger.channel, operation)),
  ...generatedFunctions(trigger, serverVersion).map(({ name }) => name),
];

/** The steps before and after the tables change, with what has to be made again because of that. */
function around(
  { before, after, rebuilds }: DatabaseDiff,
  tables: SchemaStatements,
): { before: readonly Step[]; after: readonly Step[] } {
  const touched = rebuilds.filter((rebuild) => isAffected(rebuild, tables));
  return {
    before: [...before, ...touched.flatMap((rebuild) => rebuild.before)],
    after: [...after, ...touched.flatMap((rebuild) => rebuild.after)],
  };
}

const statements = (steps: readonly Step[], direction: 'up' | 'down'): SchemaStatement[] =>
  steps.flatMap((step) => (step[direction] === undefined ? [] : [verbatim(step[direction])]));

const otherOption = (name: string, option: string, given: string) =>
  new PgPubSubError(
    'INVALID_OPTIONS',
    `expected the option "${name}" to be the one of withPgPubSub(), "${given}", got "${option}". Give both the same.`,
  );
