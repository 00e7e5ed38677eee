// @ts-check
import { createNotifyTrigger } from 'nestjs-pgpubsub';
import { DataSource } from 'typeorm';
import { assert, measure, rateOf } from '../measure.js';

const TABLES = ['minimal', 'bare', 'ours_row', 'ours_statement'];

const INSERT = (/** @type {string} */ table) => `insert into ${table} (name, email, active, created_at)
  select 'Author ' || i, 'author' || i || '@example.com', i % 2 = 0, now() from generate_series(1, $1::int) as i`;

/** Many rows in one statement, with a trigger that notifies each of them. */
export const trigger = {
  title: 'insert of many rows in one statement, milliseconds (lower is better)',
  /** @param {{ url: string, rounds: number, quick: boolean }} options */
  run: ({ url, rounds, quick }) => {
    const count = quick ? 20_000 : 100_000;
    return compare(url, rounds, count, { lowerIsBetter: true }, async (dataSource, table) => {
      const began = performance.now();
      await dataSource.query(INSERT(table), [count]);
      return performance.now() - began;
    });
  },
};

/** One row in each statement, one statement after the other. */
export const triggerSingle = {
  title: 'insert of one row in each statement, statements per second',
  /** @param {{ url: string, rounds: number, quick: boolean }} options */
  run: ({ url, rounds, quick }) => {
    const count = quick ? 2_000 : 10_000;
    return compare(url, rounds, count, {}, (dataSource, table) =>
      rateOf(count, 1, () => dataSource.query(INSERT(table), [1])),
    );
  },
};

/**
 * @param {string} url
 * @param {number} rounds
 * @param {number} count rows in all
 * @param {{ lowerIsBetter?: boolean }} options
 * @param {(dataSource: DataSource, table: string) => Promise<number>} insert
 */
async function compare(url, rounds, count, options, insert) {
  const dataSource = await new DataSource({ type: 'postgres', url, poolSize: 1 }).initialize();
  await createTables(dataSource);
  /** @param {string} name @param {string} table */
  const variant = (name, table) => ({
    name,
    run: async () => {
      await dataSource.query('checkpoint');
      const measured = await insert(dataSource, table);
      const [{ rows }] = await dataSource.query(`select count(*)::int as rows from ${table}`);
      await dataSource.query(`truncate ${table}`);
      assert(rows === count, `${rows} of ${count} rows`);
      return measured;
    },
  });
  const result = await measure(
    [
      variant('minimal trigger by hand: pg_notify(row_to_json(NEW))', 'bench_minimal'),
      variant("nestjs-pgpubsub, level 'row'", 'bench_ours_row'),
      variant("nestjs-pgpubsub, level 'statement'", 'bench_ours_statement'),
      variant('no trigger', 'bench_bare'),
    ],
    rounds,
    options,
  );
  for (const table of TABLES) await dataSource.query(`drop table bench_${table} cascade`);
  await dataSource.destroy();
  return result;
}

/** @param {DataSource} dataSource */
async function createTables(dataSource) {
  for (const table of TABLES) {
    await dataSource.query(`create table bench_${table} (id bigint generated always as identity primary key,
      name text not null, email text not null, active boolean not null, created_at timestamptz not null)`);
  }
  await dataSource.query(`create or replace function bench_minimal() returns trigger language plpgsql as $$
    begin perform pg_notify('bench_minimal', row_to_json(NEW)::text); return null; end $$`);
  await dataSource.query(
    `create trigger minimal after insert on bench_minimal for each row execute function bench_minimal()`,
  );
  const runner = dataSource.createQueryRunner();
  await createNotifyTrigger(runner, { table: 'bench_ours_row', primaryKey: ['id'] });
  await createNotifyTrigger(runner, {
    table: 'bench_ours_statement',
    level: 'statement',
    primaryKey: ['id'],
  });
  await runner.release();
}
