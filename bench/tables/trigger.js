// @ts-check
import { createNotifyTrigger, dropNotificationStorage } from 'nestjs-pgpubsub';
import pg from 'pg';
import { DataSource } from 'typeorm';
import { assert, measure, rateOf } from '../measure.js';
import { assertEachOnce } from './latency-rate.js';

const TABLES = ['minimal', 'bare', 'ours_row', 'ours_exclude', 'ours_statement'];

const INSERT = (/** @type {string} */ table) => `insert into ${table} (name, email, active, created_at)
  select 'Author ' || i, 'author' || i || '@example.com', i % 2 = 0, now() from generate_series(1, $1::int) as i`;

export const trigger = {
  title: 'inserting many rows with one statement, milliseconds (lower is better)',
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

export const triggerSingle = {
  title: 'inserting one row with each statement, statements per second',
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
  const receiver = await startReceiver(url, TABLES.map(inDatabase));
  /** @param {string} name @param {string} table @param {boolean} [notifies] */
  const variant = (name, table, notifies = true) => ({
    name,
    run: async () => {
      await dataSource.query('checkpoint');
      await receiver.defer();
      const measured = await insert(dataSource, table);
      const received = await receiver.received();
      const [{ rows }] = await dataSource.query(`select count(*)::int as rows from ${table}`);
      await dataSource.query(`truncate ${table} restart identity`);
      assert(rows === count, `${rows} of ${count} rows`);
      if (notifies) assertIds(received, count);
      else assert(received.length === 0, `${received.length} notifications without a trigger`);
      return measured;
    },
  });
  const result = await measure(
    [
      variant('minimal trigger by hand: pg_notify(row_to_json(NEW))', 'bench_minimal'),
      variant("nestjs-pgpubsub, level 'row'", 'bench_ours_row'),
      variant("nestjs-pgpubsub, level 'row', a column left out", 'bench_ours_exclude'),
      variant("nestjs-pgpubsub, level 'statement'", 'bench_ours_statement'),
      variant('no trigger', 'bench_bare', false),
    ],
    rounds,
    options,
  );
  for (const table of TABLES) await dataSource.query(`drop table ${inDatabase(table)} cascade`);
  const runner = dataSource.createQueryRunner();
  await dropNotificationStorage(runner);
  await runner.release();
  await dataSource.destroy();
  await receiver.close();
  return result;
}

/** @param {string} table */
const inDatabase = (table) => `bench_${table}`;

/** @param {{ new?: { id: number }, id: number }[]} received rows, or our changes @param {number} count */
function assertIds(received, count) {
  const calls = new Uint8Array(count);
  for (const row of received) calls[(row.new ?? row).id - 1]++;
  assertEachOnce(calls, received.length);
}

/**
 * Starts a client that receives the notifications after the measured time. PostgreSQL holds back
 * the notifications for a session in a transaction, so that nothing is read, written or parsed
 * meanwhile.
 * @param {string} url
 * @param {readonly string[]} channels
 */
export async function startReceiver(url, channels) {
  const client = new pg.Client(url);
  await client.connect();
  /** @type {string[]} */
  let texts = [];
  client.on('notification', ({ payload = '' }) => void texts.push(payload));
  for (const channel of channels) await client.query(`listen ${channel}`);
  return {
    defer: async () => {
      texts = [];
      await client.query('begin');
    },
    /** Resolves with all that was committed since `defer()`. @returns {Promise<any[]>} */
    received: async () => {
      await client.query('commit');
      return texts.map((text) => JSON.parse(text));
    },
    close: () => client.end(),
  };
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
  await createNotifyTrigger(runner, { table: 'bench_ours_exclude', exclude: ['active'], primaryKey: ['id'] });
  await createNotifyTrigger(runner, {
    table: 'bench_ours_statement',
    level: 'statement',
    primaryKey: ['id'],
  });
  await runner.release();
}
