// @ts-check
import { createNotificationStorage, createNotifyTrigger, dropNotificationStorage } from 'nestjs-pgpubsub';
import { DataSource } from 'typeorm';
import { assert, measure } from '../measure.js';

const TRIGGERS = /** @type {const} */ ({
  'no trigger': undefined,
  "level 'statement'": { level: 'statement' },
  "level 'statement', ordered": { level: 'statement', ordered: true },
  "level 'row'": { level: 'row' },
  "level 'row', ordered": { level: 'row', ordered: true },
  "level 'row', wake 'poll'": { level: 'row', wake: 'poll' },
});

/** @param {number} count */
export default (count) => ({
  title: `inserting ${count.toLocaleString('en')} rows with one statement, each stored by a trigger, milliseconds (lower is better)`,
  /** @param {{ url: string, rounds: number, quick: boolean }} options */
  async run({ url, rounds, quick }) {
    const rows = quick ? count / 10 : count;
    const dataSource = await new DataSource({ type: 'postgres', url }).initialize();
    const runner = dataSource.createQueryRunner();
    await runner.query(
      `create table migrations (id serial primary key, timestamp bigint not null, name varchar not null)`,
    );
    await runner.query(
      `insert into migrations (timestamp, name) select i, 'Migration' || i from generate_series(1, 100) as i`,
    );
    await createNotificationStorage(runner);
    const variants = [];
    for (const [index, [name, options]] of Object.entries(TRIGGERS).entries()) {
      const table = `bench_stored_${index}`;
      await runner.query(`create table ${table} (id bigint generated always as identity primary key,
        name text not null, email text not null, active boolean not null, created_at timestamptz not null)`);
      if (options) await createNotifyTrigger(runner, { table, delivery: 'exactly-once', ...options });
      variants.push({ name, run: () => insert(dataSource, table, rows, options !== undefined) });
    }
    for (const level of /** @type {const} */ (['statement', 'row'])) {
      const table = await createFloor(runner, level);
      const name = `a constant into the same table, level '${level}'`;
      variants.push({ name, run: () => insert(dataSource, table, rows, true) });
    }
    const result = await measure(variants, rounds, { lowerIsBetter: true });
    for (const table of Object.keys(Object.values(TRIGGERS)))
      await runner.query(`drop table bench_stored_${table}`);
    await runner.query('drop table bench_floor_statement, bench_floor_row');
    await dropNotificationStorage(runner);
    await runner.query('drop table migrations');
    await runner.release();
    await dataSource.destroy();
    return result;
  },
});

/**
 * Creates a table with the minimum of a storing trigger, without JSON and without lookups. The
 * remaining cost is the row in the table of stored notifications and its indexes.
 * @param {import('typeorm').QueryRunner} runner
 * @param {'statement' | 'row'} level
 */
async function createFloor(runner, level) {
  const table = `bench_floor_${level}`;
  const source = level === 'row' ? `values ('bench', '{}')` : `select 'bench', '{}' from new_rows`;
  await runner.query(`create table ${table} (id bigint generated always as identity primary key,
    name text not null, email text not null, active boolean not null, created_at timestamptz not null)`);
  await runner.query(`create or replace function ${table}() returns trigger language plpgsql as $$
    begin insert into pgpubsub_notification (channel, payload) ${source}; return null; end $$`);
  await runner.query(`create trigger floor after insert on ${table}
    ${level === 'row' ? '' : 'referencing new table as new_rows'} for each ${level} execute procedure ${table}()`);
  return table;
}

/**
 * @param {DataSource} dataSource
 * @param {string} table
 * @param {number} count
 * @param {boolean} stores
 */
async function insert(dataSource, table, count, stores) {
  await dataSource.query('checkpoint'); // avoids one while measuring
  const began = performance.now();
  await dataSource.query(
    `insert into ${table} (name, email, active, created_at)
     select 'Author ' || i, 'author' || i || '@example.com', i % 2 = 0, now() from generate_series(1, $1::int) as i`,
    [count],
  );
  const elapsed = performance.now() - began;
  const [{ stored }] = await dataSource.query('select count(*)::int as stored from pgpubsub_notification');
  assert(stored === (stores ? count : 0), `${stored} of ${count} rows`);
  await dataSource.query(`truncate ${table}, pgpubsub_notification`);
  return elapsed;
}
