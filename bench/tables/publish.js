// @ts-check
import pg from 'pg';
import { DataSource } from 'typeorm';
import { startApp } from '../app.js';
import { broadcasters, pgpubsub } from '../broadcasters.js';
import { measure, rateOf } from '../measure.js';
import { assertEachOnce } from './latency-rate.js';

/** @typedef {{ url: string, rounds: number, quick: boolean }} Options */

const CHANNEL = 'bench';

/**
 * Publishes outside transactions, in one process. Each caller waits for its previous call.
 * @param {number} callers
 * @param {number} count
 */
export const publish = (callers, count) => ({
  title: `publishing with ${callers === 1 ? 'one caller' : `${callers} concurrent callers`}, notifications per second`,
  /** @param {Options} options */
  async run({ url, rounds, quick }) {
    const counter = await countReceived(url);
    /** @param {string} name @param {import('../broadcasters.js').Broadcaster['notify']} notify @param {boolean} [isPeer] */
    const variant = (name, notify, isPeer = false) => ({
      name,
      isPeer,
      run: async () => {
        const total = quick ? count / 5 : count;
        counter.reset();
        const rate = await rateOf(total, callers, (index) => notify(payloadOf(index)));
        await counter.reached(total);
        return rate;
      },
    });
    const systems = [];
    for (const [name, start] of broadcasters)
      systems.push({ name, isPeer: start !== pgpubsub, system: await start(url, CHANNEL) });
    const client = new pg.Client(url);
    await client.connect();
    const batcher = createBatcher(client);
    const rows = await measure(
      [
        ...systems.map(({ name, isPeer, system }) => variant(name, system.notify, isPeer)),
        variant('handwritten: batches, unnested', (payload) => batcher(CHANNEL, JSON.stringify(payload))),
      ],
      rounds,
    );
    await Promise.all([...systems.map(({ system }) => system.close()), client.end(), counter.close()]);
    return rows;
  },
});

const PER_TRANSACTION = 100;

export const publishInTransaction = {
  title: `publishing ${PER_TRANSACTION} notifications in each transaction of TypeORM, notifications per second`,
  /** @param {Options} options */
  async run({ url, rounds, quick }) {
    const count = quick ? 5_000 : 20_000;
    const counter = await countReceived(url);
    const dataSource = await new DataSource({ type: 'postgres', url, poolSize: 10 }).initialize();
    const app = await startApp(url);
    const indexes = Array.from({ length: PER_TRANSACTION }, (_, index) => index);
    /** @param {string} name @param {(manager: import('typeorm').EntityManager, payloads: object[]) => Promise<unknown>} send */
    const variant = (name, send) => ({
      name,
      run: async () => {
        counter.reset();
        const transaction = (/** @type {number} */ turn) =>
          dataSource.transaction((manager) =>
            send(
              manager,
              indexes.map((index) => payloadOf(turn * PER_TRANSACTION + index)),
            ),
          );
        const rate = await rateOf(count / PER_TRANSACTION, 1, transaction);
        await counter.reached(count);
        return rate * PER_TRANSACTION;
      },
    });
    const rows = await measure(
      [
        variant('manager.query(pg_notify), one after the other', async (manager, payloads) => {
          for (const payload of payloads)
            await manager.query('select pg_notify($1, $2)', [CHANNEL, JSON.stringify(payload)]);
        }),
        variant('notify({ manager }), one after the other', async (manager, payloads) => {
          for (const payload of payloads) await app.pubsub.notify(CHANNEL, payload, { manager });
        }),
        variant('notify({ manager }), at the same time', (manager, payloads) =>
          Promise.all(payloads.map((payload) => app.pubsub.notify(CHANNEL, payload, { manager }))),
        ),
        variant('notifyMany({ manager })', (manager, payloads) =>
          app.pubsub.notifyMany(CHANNEL, payloads, { manager }),
        ),
      ],
      rounds,
    );
    await Promise.all([app.close(), dataSource.destroy(), counter.close()]);
    return rows;
  },
};
/** @param {number} index */
const payloadOf = (index) => ({ id: index, status: 'shipped', customer: 'c-1234567' });

/**
 * Creates handwritten code for speed: no checks, one statement in flight, which sends all calls
 * made during the previous one.
 * @param {pg.Client} client
 */
function createBatcher(client) {
  /** @type {{ channel: string, text: string, resolve: (value?: unknown) => void, reject: (error: unknown) => void }[]} */
  let waiting = [];
  let sending = false;
  const drain = async () => {
    sending = true;
    while (waiting.length > 0) {
      const batch = waiting;
      waiting = [];
      const values = [batch.map(({ channel }) => channel), batch.map(({ text }) => text)];
      try {
        await client.query(
          'select count(pg_notify(c, p)) from unnest($1::text[], $2::text[]) as n(c, p)',
          values,
        );
        for (const { resolve } of batch) resolve();
      } catch (error) {
        for (const { reject } of batch) reject(error);
      }
    }
    sending = false;
  };
  return (/** @type {string} */ channel, /** @type {string} */ text) =>
    new Promise((resolve, reject) => {
      waiting.push({ channel, text, resolve, reject });
      if (!sending) void drain();
    });
}

/**
 * Starts a client that receives everything, to verify that each variant has sent each notification
 * exactly once. Payloads are parsed after the measured time.
 * @param {string} url
 */
async function countReceived(url) {
  const client = new pg.Client(url);
  await client.connect();
  await client.query('listen bench');
  /** @type {string[]} */
  let received = [];
  let check = () => {};
  client.on('notification', ({ payload = '' }) => {
    received.push(payload);
    check();
  });
  return {
    reset: () => {
      received = [];
    },
    /** @param {number} count */
    reached: async (count) => {
      await new Promise((resolve) => {
        check = () => received.length >= count && resolve(undefined);
        check();
      });
      check = () => {};
      const counts = new Uint8Array(count);
      for (const text of received) counts[JSON.parse(text).id]++;
      assertEachOnce(counts, received.length);
    },
    close: () => client.end(),
  };
}
