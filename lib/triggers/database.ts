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
  /** Definitions that are used without an entity; exactly-once channels need tables. */
  readonly channels?: readonly ChannelDefinition[];
  /** Triggers of EntitySchema entities, and of tables without a class, such as join tables. */
  readonly triggers?: readonly TriggerDeclaration[];
  /**
   * The name of the application that the triggers belong to. A DataSource only changes and drops
   * triggers of its own name, so that several applications can share a database. Defaults to the
   * schema and name of the migrations table, which applications must keep separate anyway.
   */
  readonly owner?: string;
  /** The schema of the library's tables and functions; defaults to that of the DataSource. */
  readonly schema?: string;
  /**
   * The role that owns the library's objects in the database, if neither the owner of the
   * migrations table nor the current role does. Objects of other roles are never used.
   */
  readonly role?: string;
}

/** The difference between a database and the declarations. */
export interface DatabaseDiff {
  /** Steps to run before the tables change. */
  readonly before: readonly Step[];
  /** Steps to run afterwards. */
  readonly after: readonly Step[];
  /** Steps to run around changes of the tables that they name. */
  readonly rebuilds: readonly Rebuild[];
  readonly differences: readonly Difference[];
  /** Sentences about changes that correct triggers do not report, each with its remedy. */
  readonly warnings: readonly string[];
}

export interface DiffOptions {
  /** Whether exactly-once channels are used in addition to the declared ones. */
  readonly needsStorage?: boolean;
}

interface SynchronizeOptions extends DiffOptions {
  /** The maximum wait for another process that changes the schema, in milliseconds. */
  readonly lockTimeoutMs?: number;
}

interface Given {
  readonly schema?: string | undefined;
  readonly role?: string | undefined;
}

const OPTIONS = Symbol.for('nestjs-pgpubsub:with-pg-pubsub');
const GIVEN = Symbol.for('nestjs-pgpubsub:given');

/**
 * A DataSource as this library sees it: its declarations, the place of its storage, and the
 * difference between them and the database. Holds no connection. All instances for one DataSource
 * are equivalent.
 */
export class Database {
  private constructor(readonly dataSource: DataSource) {}

  static of(dataSource: DataSource): Database {
    return new Database(dataSource);
  }

  /** The options of `withPgPubSub()`; empty without a call. */
  get options(): WithPgPubSubOptions {
    return (Reflect.get(this.dataSource, OPTIONS) as WithPgPubSubOptions | undefined) ?? {};
  }

  /** Sets the options of `withPgPubSub()`. Returns whether it is the first call. */
  wrap(options: WithPgPubSubOptions): boolean {
    const isFirst = !this.isWrapped;
    Object.defineProperty(this.dataSource, OPTIONS, { value: options, configurable: true });
    return isFirst;
  }

  get isWrapped(): boolean {
    return Reflect.has(this.dataSource, OPTIONS);
  }

  /** Adds options of the module. Throws `INVALID_OPTIONS` if `withPgPubSub()` has another value. */
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

  /** The name of the application that owns the triggers and the storage. */
  get owner(): string {
    const { migrationsTableName = 'migrations' } = this.dataSource.options;
    return this.options.owner ?? `${defaultSchemaOf(this.dataSource)}.${migrationsTableName}`;
  }

  /** The place of the library's tables and functions, and of TypeORM's migrations. */
  get storage(): Storage {
    const { migrationsTableName = 'migrations' } = this.dataSource.options;
    const [migrationsTable = '', migrationsSchema = defaultSchemaOf(this.dataSource)] = migrationsTableName
      .split('.') // as TypeORM reads it
      .toReversed();
    const schema = this.options.schema ?? this.given.schema ?? defaultSchemaOf(this.dataSource);
    return { schema, migrationsSchema, migrationsTable, role: this.options.role ?? this.given.role };
  }

  /**
   * The declarations of entities and `withPgPubSub()`. Throws `INVALID_TRIGGER` for invalid ones.
   */
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

  get storedChannels(): string[] {
    const channels = [
      ...(this.options.channels ?? []),
      ...this.triggers.map(({ channel, delivery }) => ({ name: channel, delivery })),
    ];
    return channels.filter(({ delivery }) => delivery === 'exactly-once').map(({ name }) => name);
  }

  /** Whether the declarations need the storage, for its tables or its trigger functions. */
  get needsStorage(): boolean {
    return this.triggers.length > 0 || this.storedChannels.length > 0;
  }

  /** Compares the database with the declarations, and changes nothing. */
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

  /** Checks triggers against existing tables, except columns of entities, which may change. */
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

  /** Returns a migration: drops triggers before the tables change, creates triggers afterwards. */
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
   * Changes the database until it has everything that is declared. Processes that start at once run
   * one after the other. Everything runs on one connection, which holds the lock, because a pool
   * may have no other. Throws `TIMED_OUT` when the lock is not free in time; any role that may
   * connect can take it.
   *
   * no deadline: a part of a migration or of the start, whose limits are the application's
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

/** The tables of a start that does not change them. */
const NO_TABLES = { read: async () => NOTHING, build: async () => undefined };

const namesOf = (trigger: ResolvedTrigger, serverVersion: number): string[] => [
  ...OPERATIONS.map((operation) => triggerName(trigger.channel, operation)),
  ...generatedFunctions(trigger, serverVersion).map(({ name }) => name),
];

/** Returns the steps before and after the tables change, including the required rebuilds. */
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
