// @ts-check
import { makeWorkerUtils } from 'graphile-worker';
import { PgBoss } from 'pg-boss';
import { assert, measure, rateOf } from '../measure.js';
import * as settings from '../peers.js';
import { payloadOf, quiet, withClient } from '../queues.js';
import { startStoredApp } from '../stored-app.js';

const BULK = 1_000;
const CALLERS = 100;
const CHANNEL = 'bench_enqueue';

/**
 * A system that stores notifications outside transactions.
 * @typedef {object} Sender
 * @property {string} table its table
 * @property {string} payload the column with the payload
 * @property {(payloads: object[]) => Promise<unknown>} many
 * @property {(payload: object) => Promise<unknown>} one
 * @property {() => Promise<void>} close
 */

export const bulk = {
  title: `storing ${BULK.toLocaleString('en')} notifications with each call, notifications per second`,
  /** @param {{ url: string, rounds: number, quick: boolean }} options */
  run: ({ url, rounds, quick }) =>
    compare(url, rounds, quick ? 10_000 : 50_000, (sender, count) =>
      rateOf(count / BULK, 1, (call) =>
        sender.many(Array.from({ length: BULK }, (_, index) => payloadOf(call * BULK + index))),
      ).then((rate) => rate * BULK),
    ),
};

export default {
  title: `storing one notification with each call, ${CALLERS} concurrent callers, notifications per second`,
  /** @param {{ url: string, rounds: number, quick: boolean }} options */
  run: ({ url, rounds, quick }) =>
    compare(url, rounds, quick ? 5_000 : 20_000, (sender, count) =>
      rateOf(count, CALLERS, (index) => sender.one(payloadOf(index))),
    ),
};

/**
 * @param {string} url
 * @param {number} rounds
 * @param {number} count
 * @param {(sender: Sender, count: number) => Promise<number>} send resolves with the rate
 */
async function compare(url, rounds, count, send) {
  /** @param {string} name @param {(url: string) => Promise<Sender>} start */
  const variant = (name, start) => ({
    name,
    run: async () => {
      const sender = await start(url);
      await rateOf(CALLERS, CALLERS, (index) => sender.one(payloadOf(index))); // opens the connections
      await withClient(url, (client) => client.query(`truncate ${sender.table}; checkpoint`));
      const rate = await send(sender, count);
      await sender.close();
      const { rows } = await withClient(url, (client) =>
        client.query(
          `select count(*)::int as rows, count(distinct ${sender.payload} ->> 'id')::int as ids from ${sender.table}`,
        ),
      );
      assert(rows[0].rows === count && rows[0].ids === count, `${rows[0].rows} of ${count} stored`);
      await withClient(url, (client) => client.query(`truncate ${sender.table}`));
      return rate;
    },
  });
  return measure(
    [
      { ...variant('graphile-worker', startGraphileWorker), isPeer: true },
      { ...variant('pg-boss', startPgBoss), isPeer: true },
      variant('nestjs-pgpubsub', startOurs),
    ],
    rounds,
  );
}

/** @param {string} url */
async function startGraphileWorker(url) {
  const utils = await makeWorkerUtils({
    connectionString: url,
    logger: quiet,
    ...settings.graphileWorker.enqueue,
  });
  await utils.migrate();
  return {
    table: 'graphile_worker._private_jobs',
    payload: 'payload',
    many: (/** @type {object[]} */ payloads) =>
      utils.addJobs(payloads.map((payload) => ({ identifier: CHANNEL, payload }))),
    one: (/** @type {object} */ payload) => utils.addJob(CHANNEL, payload),
    close: async () => {
      await utils.release();
    },
  };
}

/** @param {string} url */
async function startPgBoss(url) {
  const boss = new PgBoss({ connectionString: url, ...settings.pgBoss.instance });
  await boss.start();
  await boss.createQueue(CHANNEL, settings.pgBoss.queue);
  return {
    table: 'pgboss.job',
    payload: 'data',
    many: (/** @type {object[]} */ payloads) =>
      boss.insert(
        CHANNEL,
        payloads.map((data) => ({ data })),
      ),
    one: (/** @type {object} */ payload) => boss.send(CHANNEL, payload),
    close: () => boss.stop(),
  };
}

/** @param {string} url */
async function startOurs(url) {
  const { channel, pubsub, close } = await startStoredApp(url, { channel: CHANNEL });
  return {
    table: 'pgpubsub_notification',
    payload: 'payload',
    many: (/** @type {object[]} */ payloads) => pubsub.notifyMany(channel, payloads),
    one: (/** @type {object} */ payload) => pubsub.notify(channel, payload),
    close,
  };
}
