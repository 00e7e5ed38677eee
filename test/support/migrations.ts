import { Column, Entity, PrimaryGeneratedColumn, type DataSource, type EntitySchema } from 'typeorm';
import { expect } from 'vitest';
import { NotifyChanges, PgPubSubError, type NotifyChangesOptions } from 'nestjs-pgpubsub';
import type { GivenDataSource, TestDatabase } from './database.js';
import { listen, type Sent } from './sent.js';
import { storage, useDatabase } from './use-database.js';

export type Entities = readonly (EntitySchema | (abstract new () => unknown))[];
export interface Migration {
  readonly up: readonly string[];
  readonly down: readonly string[];
}

export const NOTHING: Migration = { up: [], down: [] };

/** Generates a migration like `typeorm migration:generate`. */
export async function generate(source: DataSource): Promise<Migration> {
  const { upQueries, downQueries } = await source.driver.createSchemaBuilder().log();
  return {
    up: upQueries.map(({ query }) => query),
    down: downQueries.toReversed().map(({ query }) => query),
  };
}

/** Runs statements like `typeorm migration:run` and `migration:revert`. */
export const run = (source: DataSource, statements: readonly string[]): Promise<void> =>
  source.transaction(async ({ queryRunner }) => {
    for (const statement of statements) await queryRunner?.query(statement);
  });

const ours = "n.nspname not in ('pg_catalog', 'information_schema') and n.nspname not like 'pg_toast%'";
const SNAPSHOT = {
  functions: `select n.nspname, p.proname, pg_get_functiondef(p.oid) as definition, obj_description(p.oid, 'pg_proc') as comment
    from pg_proc p join pg_namespace n on n.oid = p.pronamespace where ${ours} order by 1, 2`,
  triggers: `select n.nspname, c.relname, t.tgname, t.tgenabled, pg_get_triggerdef(t.oid) as definition, obj_description(t.oid, 'pg_trigger') as comment
    from pg_trigger t join pg_class c on c.oid = t.tgrelid join pg_namespace n on n.oid = c.relnamespace
    where not t.tgisinternal order by 1, 2, 3`,
  columns: `select table_schema, table_name, column_name, data_type, is_nullable, column_default
    from information_schema.columns n where table_schema not in ('pg_catalog', 'information_schema') order by 1, 2, 3`,
  constraints: `select n.nspname, c.conname, pg_get_constraintdef(c.oid) as definition
    from pg_constraint c join pg_namespace n on n.oid = c.connamespace where ${ours} order by 1, 2`,
};

type Snapshot = Record<keyof typeof SNAPSHOT, Record<string, string | null>[]>;

/**
 * A database for each test of the file, and functions for its migrations; its DataSources are
 * closed after the test.
 */
export function useMigrations() {
  // no DataSource of a test owns this storage, so migrations only contain tables and triggers
  const database = useDatabase({ per: 'test', contents: () => storage('the storage') });

  const declare = (entities: Entities, { dataSource, ...options }: GivenDataSource = {}): DataSource =>
    database.declare({ dataSource: { entities: entities as never, ...dataSource }, ...options });

  const connect = (entities: Entities, given?: GivenDataSource): Promise<DataSource> =>
    declare(entities, given).initialize();

  /**
   * Generates and runs the migration. Checks that there is nothing to generate afterwards, that
   * reverting it restores every object of the database, and that it runs again.
   */
  async function migrate(source: DataSource): Promise<Migration> {
    const before = await snapshot();
    const migration = await generate(source);
    await run(source, migration.up);
    expect(await generate(source)).toEqual(NOTHING);
    const after = await snapshot();
    await run(source, migration.down);
    expect(await snapshot()).toEqual(before);
    await run(source, migration.up);
    expect(await snapshot()).toEqual(after);
    return migration;
  }

  /** Connects to the database as it is, and migrates. */
  async function migrateTo(entities: Entities, given?: GivenDataSource): Promise<Migration> {
    const source = await connect(entities, given);
    const migration = await migrate(source);
    await source.destroy();
    return migration;
  }

  async function snapshot(): Promise<Snapshot> {
    const client = await database.client();
    await client.query("set search_path = ''"); // makes definitions contain the schema of every name
    const read = async (kind: keyof typeof SNAPSHOT) => (await client.query(SNAPSHOT[kind])).rows;
    const functions = await read('functions');
    const triggers = await read('triggers');
    const columns = await read('columns');
    const constraints = await read('constraints');
    await client.end();
    return { functions, triggers, columns, constraints };
  }

  /**
   * All `schema.table: trigger` and `schema: function` of the database, without those of the
   * storage.
   */
  async function objects(): Promise<{ triggers: string[]; functions: string[] }> {
    const { triggers, functions } = await snapshot();
    const readable = (name: unknown) => String(name).replace(/_[0-9a-f]{8}(?=_|$)/, '');
    return {
      triggers: triggers.map((row) => `${row['nspname']}.${row['relname']}: ${readable(row['tgname'])}`),
      functions: functions.filter(isGenerated).map((row) => `${row['nspname']}: ${readable(row['proname'])}`),
    };
  }

  /** The notifications of `act` on the channel, as any client receives them. */
  async function sentBy(channel: string, act: () => Promise<unknown>): Promise<Sent[]> {
    const sent = await listen(database, channel);
    await act();
    return sent.end();
  }

  const client = () => database.client();
  const query: TestDatabase['query'] = (sql, parameters) => database.query(sql, parameters);
  const databaseName = () => database.name;
  return {
    client,
    connect,
    databaseName,
    declare,
    migrate,
    migrateTo,
    objects,
    query,
    sentBy,
    snapshot,
  };
}

/** The kinds of statements, without details: `create trigger`, `alter table`. */
export const verbs = (statements: readonly string[]): string[] =>
  statements.map(
    (text) =>
      /^(?:create or replace function|create function|(?:create|drop|alter|comment on) \w+|do)\b/i
        .exec(text)?.[0]
        .toLowerCase() ?? text,
  );

/** The verbs that concern triggers. */
export const triggerVerbs = (statements: readonly string[]): string[] =>
  verbs(statements).filter((verb) => /trigger|function|^do$/.test(verb));

/** The error of this library with which `act` rejects, as `CODE: sentence`. */
export async function errorOf(act: () => unknown): Promise<string> {
  try {
    await act();
  } catch (error) {
    return error instanceof PgPubSubError ? `${error.code}: ${error.message}` : String(error);
  }
  return 'no error';
}

/** The default triggers: for insert, update and delete. */
export const CREATED = ['create trigger', 'create trigger', 'create trigger'];
export const CREATED_WITH_CONDITION = CREATED.flatMap((verb) => [verb, 'comment on trigger']);
export const DROPPED = ['drop trigger', 'drop trigger', 'drop trigger'];
export const REPLACED = ['create or replace function', 'comment on function'];

/** Whether a function does not belong to the storage. */
export const isGenerated = ({ proname, comment }: Record<string, string | null>): boolean =>
  !proname?.startsWith('pgpubsub_') || comment !== null;

/** An entity of the table `author` with these declarations. */
export function author(...declarations: NotifyChangesOptions[]) {
  @Entity('author')
  class Author {
    @PrimaryGeneratedColumn() id!: number;
    @Column('text', { nullable: true }) name!: string | null;
    @Column('text', { nullable: true }) bio!: string | null;
    @Column('boolean', { default: true }) active!: boolean;
  }
  for (const options of declarations) NotifyChanges(options)(Author);
  return Author;
}

export const LEVELS = ['row', 'statement'] as const;
