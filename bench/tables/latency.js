// @ts-check
import pg from 'pg';
// not public: the statement of a single broadcast
import { sendBroadcast } from '../../dist/publishing/publish.sql.js';
import { startApp } from '../app.js';
import { assert, measure, median } from '../measure.js';

/** notify() to handler on an idle system, both in this process, one notification at a time. */
export default {
  title: 'latency of a broadcast to its handler, idle system, p50 in milliseconds (lower is better)',
  /** @param {{ url: string, rounds: number, quick: boolean }} options */
  async run({ url, rounds, quick }) {
    const sender = new pg.Client(url);
    const bare = new pg.Client(url);
    await Promise.all([sender.connect(), bare.connect()]);
    await bare.query('listen bench_bare');
    let received = { id: -1, at: 0 };
    let arrived = () => {};
    const receive = (/** @type {{ id: number }} */ { id }) => {
      received = { id, at: performance.now() }; // does not depend on the answer to the sender
      arrived();
    };
    bare.on('notification', ({ payload }) => receive(JSON.parse(payload ?? '')));
    const app = await startApp(url, receive);

    let id = 0;
    /** @param {(id: number) => Promise<unknown>} send @param {number} count */
    const p50 = async (send, count) => {
      const times = [];
      for (const end = id + count; id < end; id++) {
        const arrival = new Promise((resolve) => {
          arrived = () => resolve(undefined);
        });
        const began = performance.now();
        await Promise.all([send(id), arrival]);
        times.push(received.at - began);
        assert(received.id === id, `${received.id} arrived instead of ${id}`);
      }
      return median(times);
    };
    /** @param {string} sql */
    const byHand = (sql) => (/** @type {number} */ number) =>
      sender.query(sql, ['bench_bare', JSON.stringify({ id: number })]);
    /** @type {[name: string, send: (id: number) => Promise<unknown>][]} */
    const ways = [
      ['bare pg client to bare pg client', byHand('select pg_notify($1, $2)')],
      ['bare pg client, the same statement', byHand(sendBroadcast)],
      ['nestjs-pgpubsub notify() to @Listener()', (number) => app.pubsub.notify('bench', { id: number })],
    ];
    for (const [, send] of ways) await p50(send, quick ? 1_000 : 5_000); // warms up V8
    // Many short turns: other load on the machine, often for seconds, affects all variants alike.
    const rows = await measure(
      ways.map(([name, send]) => ({ name, run: () => p50(send, 300) })),
      rounds * 10,
    );
    await Promise.all([sender.end(), bare.end(), app.close()]);
    return rows;
  },
};
