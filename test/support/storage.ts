import type { DataSource, QueryRunner } from 'typeorm';
import { expect } from 'vitest';
import { defineChannel } from 'nestjs-pgpubsub';
import type { GivenDataSource, TestDatabase } from './database.js';
import { useDatabase } from './use-database.js';

export interface Statements {
  readonly up: readonly string[];
  readonly down: readonly string[];
}

export const NOTHING: Statements = { up: [], down: [] };

/** A channel that needs the storage, for `channels` of `withPgPubSub()`. */
export const STORED = defineChannel<never>('orders', { delivery: 'exactly-once' });

/** Generates a migration like `typeorm migration:generate`. */
export async function generate(source: DataSource): Promise<Statements> {
  const { upQueries, downQueries } = await source.driver.createSchemaBuilder().log();
  return {
    up: upQueries.map(({ query }) => query),
    down: downQueries.toReversed().map(({ query }) => query),
  };
}

/** Runs statements like `typeorm migration:run` and `migration:revert`. */
export const run = (source: DataSource, statements: readonly string[]): Promise<void> =>
  inTransaction(source, async (runner) => {
    for (const statement of statements) await runner.query(statement);
  });

export const inTransaction = (
  source: DataSource,
  work: (runner: QueryRunner) => Promise<void>,
): Promise<void> =>
  source.transaction(async ({ queryRunner }) => {
    if (queryRunner) await work(queryRunner);
  });

const ours = "n.nspname not in ('pg_catalog', 'information_schema') and n.nspname not like 'pg_toast%'";
const SNAPSHOT = {
  schemas: `select n.nspname from pg_namespace n where ${ours} order by 1`,
  tables: `select n.nspname, c.relname, c.relkind, c.relpersistence, array(select unnest(c.reloptions) order by 1) as settings, obj_description(c.oid, 'pg_class') as comment
    from pg_class c join pg_namespace n on n.oid = c.relnamespace where c.relkind in ('r', 'v', 'm', 'p', 'S') and ${ours} order by 1, 2`,
  columns: `select n.nspname, c.relname, a.attname, format_type(a.atttypid, a.atttypmod) as type, a.attnotnull, a.attidentity, pg_get_expr(d.adbin, d.adrelid) as "default"
    from pg_class c join pg_namespace n on n.oid = c.relnamespace join pg_attribute a on a.attrelid = c.oid
      left join pg_attrdef d on d.adrelid = c.oid and d.adnum = a.attnum
    where c.relkind = 'r' and a.attnum > 0 and not a.attisdropped and ${ours} order by 1, 2, 3`,
  constraints: `select n.nspname, c.conname, pg_get_constraintdef(c.oid) as definition
    from pg_constraint c join pg_namespace n on n.oid = c.connamespace where ${ours} order by 1, 2`,
  indexes: `select n.nspname, c.relname, pg_get_indexdef(c.oid) as definition
    from pg_class c join pg_namespace n on n.oid = c.relnamespace where c.relkind = 'i' and ${ours} order by 1, 2`,
  functions: `select n.nspname, p.proname, pg_get_functiondef(p.oid) as definition, obj_description(p.oid, 'pg_proc') as comment
    from pg_proc p join pg_namespace n on n.oid = p.pronamespace where ${ours} order by 1, 2, 3`,
  triggers: `select t.tgname, pg_get_triggerdef(t.oid) as definition, obj_description(t.oid, 'pg_trigger') as comment
    from pg_trigger t where not t.tgisinternal order by 1`,
};

type Snapshot = Record<string, Record<string, unknown>[]>;

/** A database for each test of the file, and DataSources on it that are closed after the test. */
export function useStorage() {
  const database = useDatabase({ per: 'test' });

  /** All objects of the database. */
  async function snapshot(): Promise<Snapshot> {
    const client = await database.client();
    await client.query("set search_path = ''"); // makes definitions contain the schema of every name
    const found: Snapshot = {};
    for (const [kind, sql] of Object.entries(SNAPSHOT)) found[kind] = (await client.query(sql)).rows;
    await client.end();
    return found;
  }

  /**
   * Generates and runs the migration. Checks that there is nothing to generate afterwards, that
   * reverting it restores every object of the database, and that it runs again.
   */
  async function migrate(source: DataSource): Promise<Statements> {
    const before = await snapshot();
    const migration = await generate(source);
    expect([...migration.up, ...migration.down].join()).not.toContain('\\'); // TypeORM before 0.3.29 loses backslashes
    await run(source, migration.up);
    expect(await generate(source)).toEqual(NOTHING);
    const after = await snapshot();
    await run(source, migration.down);
    expect(await snapshot()).toEqual(before);
    await run(source, migration.up);
    expect(await snapshot()).toEqual(after);
    return migration;
  }

  return {
    connect: (given?: GivenDataSource) => database.connect(given),
    migrate,
    snapshot,
    client: () => database.client(),
    url: () => database.url,
    query: ((sql, parameters) => database.query(sql, parameters)) as TestDatabase['query'],
  };
}
