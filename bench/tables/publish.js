// @ts-check
import createSubscriber from 'pg-listen';
import pg from 'pg';
import { startApp } from '../app.js';
import { assert, measure, rateOf } from '../measure.js';

const CALLERS = 100;

/** 100 concurrent callers of notify(), outside transactions, in one process. */
export default {
  title: `publish, ${CALLERS} concurrent callers, notifications per second`,
  /** @param {{ url: string, rounds: number, quick: boolean }} options */
  async run({ url, rounds, quick }) {
    const count = quick ? 10_000 : 50_000;
    const app = await startApp(url);
    const subscriber = createSubscriber({ connectionString: url });
    await subscriber.connect();
    const client = new pg.Client(url);
    await client.connect();
    const counter = await countReceived(url);

    /** @param {string} name @param {(index: number) => Promise<unknown>} notify */
    const variant = (name, notify) => ({
      name,
      run: async () => {
        counter.reset();
        const rate = await rateOf(count, CALLERS, notify);
        await counter.reached(count);
        return rate;
      },
    });
    const byHand = createBatcher(client);
    const rows = await measure(
      [
        variant('pg-listen notify()', (index) => subscriber.notify('bench', payloadOf(index))),
        variant('by hand: batches, unnested', (index) => byHand('bench', JSON.stringify(payloadOf(index)))),
        variant('nestjs-pgpubsub notify()', (index) => app.pubsub.notify('bench', payloadOf(index))),
      ],
      rounds,
    );
    await Promise.all([app.close(), subscriber.close(), client.end(), counter.close()]);
    return rows;
  },
};

/** @param {number} index */
const payloadOf = (index) => ({ id: index, status: 'shipped', customer: 'c-1234567' });

/**
 * What one would write by hand for speed: no checks, one statement on the wire, the calls made meanwhile in the next.
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

/** A bare client that counts, so that every variant proves that it has sent everything. @param {string} url */
async function countReceived(url) {
  const client = new pg.Client(url);
  await client.connect();
  await client.query('listen bench');
  let received = 0;
  let check = () => {};
  client.on('notification', () => {
    received++;
    check();
  });
  return {
    reset: () => {
      received = 0;
    },
    /** @param {number} count */
    reached: async (count) => {
      await new Promise((resolve) => {
        check = () => received >= count && resolve(undefined);
        check();
      });
      check = () => {};
      assert(received === count, `${received} of ${count} notifications received`);
    },
    close: () => client.end(),
  };
}
