// @ts-check
/** The compared systems with one interface: each can be filled, and drained by a handler. */
import { Logger, makeWorkerUtils, run } from 'graphile-worker';
import { PgBoss } from 'pg-boss';
import pg from 'pg';
import { DataSource } from 'typeorm';
import * as settings from './peers.js';
import { startStoredApp } from './stored-app.js';

/**
 * Handles one notification, or all of a batch. `query` sends its writes.
 * @typedef {(ids: number[], query: (sql: string, parameters: unknown[]) => Promise<unknown>) => Promise<void> | void} Handle
 *
 * @typedef {object} Queue
 * @property {(client: pg.Client) => Promise<void>} reset creates its tables and empties them
 * @property {(count: number, first?: number) => Promise<void>} seed stores notifications with ids
 *   from `first` on
 * @property {(handle: Handle) => Promise<() => Promise<void>>} start starts handling; resolves with
 * a function that stops it
 * @property {string} pending SQL that returns whether notifications are left
 */

const CHANNEL = 'bench_jobs';

/**
 * @param {string} url
 * @param {{ module?: object, listener?: object }} [options]
 * @returns {Queue}
 */
export function pgpubsub(url, { module = {}, listener = {} } = {}) {
  return {
    pending: 'select exists (select from pgpubsub_notification) as pending',
    reset: async (client) => {
      const app = await startStoredApp(url, { channel: CHANNEL, module }); // creates the tables
      await app.close();
      await client.query('truncate pgpubsub_notification, pgpubsub_dead_letter');
    },
    seed: (count, first = 1) =>
      withClient(url, async (client) => {
        await client.query(SEED, [CHANNEL, first, first + count - 1]);
        await client.query('analyze pgpubsub_notification');
      }),
    start: async (handle) => {
      const app = await startStoredApp(url, { channel: CHANNEL, module, listener, handle });
      return () => app.close();
    },
  };
}

export const SEED = `insert into pgpubsub_notification (channel, payload)
  select $1::text, json_build_object('id', i, 'status', 'shipped', 'customer', 'c-1234567')
  from generate_series($2::int, $3::int) as i`;

/** @param {number} id */
export const payloadOf = (id) => ({ id, status: 'shipped', customer: 'c-1234567' });

/** @param {string} url @returns {Queue} */
export function graphileWorker(url) {
  return {
    pending: 'select exists (select from graphile_worker._private_jobs) as pending',
    reset: async (client) => {
      const utils = await makeWorkerUtils({ connectionString: url });
      await utils.migrate();
      await utils.release();
      await client.query('truncate graphile_worker._private_jobs');
    },
    seed: (count, first = 1) =>
      withClient(url, async (client) => {
        await client.query(
          `select count(*) from graphile_worker.add_jobs(array(
             select row($1::text, json_build_object('id', i, 'status', 'shipped', 'customer', 'c-1234567'),
               null, null, null, null, null, null)::graphile_worker.job_spec
             from generate_series($2::int, $3::int) as i))`,
          [CHANNEL, first, first + count - 1],
        );
        await client.query('analyze graphile_worker._private_jobs');
      }),
    start: async (handle) => {
      const runner = await run({
        preset: { worker: { connectionString: url, ...settings.graphileWorker.drain } },
        noHandleSignals: true,
        logger: quiet,
        taskList: {
          [CHANNEL]: (/** @type {any} */ { id }, { query }) => handle([id], query),
        },
      });
      return () => runner.stop();
    },
  };
}

/**
 * @param {string} url
 * @param {{ transactional?: boolean, concurrent?: number, batch?: boolean }} [options]
 * `transactional`: the handler writes in the transaction that completes the batch, as ours do.
 * Otherwise it writes on a pool, for `concurrent` jobs of the batch at once. `batch`: the handler
 * is called once with the whole batch.
 * @returns {Queue}
 */
export function pgBoss(url, { transactional = false, concurrent = 1, batch = false } = {}) {
  const startBoss = async () => {
    const boss = new PgBoss({ connectionString: url, ...settings.pgBoss.instance });
    boss.on('error', (error) => console.error(error));
    await boss.start();
    await boss.createQueue(CHANNEL, settings.pgBoss.queue);
    return boss;
  };
  return {
    pending: `select exists (select from pgboss.job where name = '${CHANNEL}' and state < 'completed') as pending`,
    reset: async (client) => {
      const boss = await startBoss(); // creates the tables
      await boss.stop();
      await client.query('truncate pgboss.job'); // deleteAllJobs() would leave dead rows
    },
    seed: async (count, first = 1) => {
      const boss = await startBoss();
      for (let from = first; from < first + count; from += 5_000) {
        const length = Math.min(5_000, first + count - from);
        await boss.insert(
          CHANNEL,
          Array.from({ length }, (_, index) => ({ data: payloadOf(from + index) })),
        );
      }
      await boss.stop();
      await withClient(url, (client) => client.query('analyze pgboss.job'));
    },
    start: async (handle) => {
      const boss = await startBoss();
      const pool = new pg.Pool({ connectionString: url, max: settings.pgBoss.instance.max });
      /** @param {any[]} jobs @param {(sql: string, parameters: unknown[]) => Promise<unknown>} query */
      const all = async (jobs, query) => {
        if (batch)
          return handle(
            jobs.map(({ data }) => data.id),
            query,
          );
        let next = 0;
        const worker = async () => {
          while (next < jobs.length) await handle([jobs[next++].data.id], query);
        };
        await Promise.all(Array.from({ length: concurrent }, worker));
      };
      const work = { ...settings.pgBoss.drain, ...(transactional && { transactional }) };
      await boss.work(CHANNEL, work, (/** @type {any[]} */ jobs, /** @type {any} */ transaction) =>
        all(jobs, (sql, parameters) =>
          transactional ? transaction.executeSql(sql, parameters) : pool.query(sql, parameters),
        ),
      );
      return async () => {
        await boss.stop();
        await pool.end();
      };
    },
  };
}

/** @param {string} url @returns {Queue} */
export function typeormTransactions(url) {
  return {
    pending: 'select exists (select from bench_message) as pending',
    reset: async (client) => {
      await client.query(
        `create table if not exists bench_message (id bigint generated always as identity primary key, payload json)`,
      );
      await client.query('truncate bench_message');
    },
    seed: (count, first = 1) =>
      withClient(url, async (client) => {
        await client.query(
          `insert into bench_message (payload)
           select json_build_object('id', i, 'status', 'shipped', 'customer', 'c-1234567')
           from generate_series($1::int, $2::int) as i`,
          [first, first + count - 1],
        );
        await client.query('analyze bench_message');
      }),
    start: async (handle) => {
      const dataSource = await new DataSource({ type: 'postgres', url, ...settings.typeorm }).initialize();
      let isRunning = true;
      const loop = async () => {
        while (isRunning) {
          isRunning &&= await dataSource.transaction(async (manager) => {
            const [row] = await manager.query(
              'select id, payload from bench_message order by id limit 1 for update skip locked',
            );
            if (row === undefined) return false;
            await handle([row.payload.id], (sql, parameters) => manager.query(sql, parameters));
            await manager.query('delete from bench_message where id = $1', [row.id]);
            return true;
          });
        }
      };
      const ended = loop();
      return async () => {
        isRunning = false;
        await ended;
        await dataSource.destroy();
      };
    },
  };
}

export const quiet = /** @type {any} */ (
  new Logger(() => (level, message) => {
    if (level === 'error') console.error(message);
  })
);

/** @template Result @param {string} url @param {(client: pg.Client) => Promise<Result>} work */
export async function withClient(url, work) {
  const client = new pg.Client(url);
  await client.connect();
  try {
    return await work(client);
  } finally {
    await client.end();
  }
}
