// @ts-check
import pg from 'pg';
import { startApp } from '../app.js';
import { measure, median } from '../measure.js';

/** notify → handler on an idle system: both ends in this process, one notification at a time. */
export default {
  title: 'latency notify → handler, idle system, p50 in milliseconds (lower is better)',
  /** @param {{ url: string, rounds: number, quick: boolean }} options */
  async run({ url, rounds, quick }) {
    const sender = new pg.Client(url);
    const bare = new pg.Client(url);
    await Promise.all([sender.connect(), bare.connect()]);
    await bare.query('listen bench_bare');
    /** @type {() => void} */
    let arrived = () => {};
    bare.on('notification', ({ payload }) => {
      JSON.parse(payload ?? '');
      arrived();
    });
    const app = await startApp(url, () => arrived());

    /** @param {(id: number) => Promise<unknown>} send @param {number} count */
    const p50 = async (send, count) => {
      const times = [];
      for (let id = 0; id < count; id++) {
        const began = performance.now();
        const received = new Promise((resolve) => {
          arrived = () => resolve(undefined);
        });
        await Promise.all([send(id), received]);
        times.push(performance.now() - began);
      }
      return median(times);
    };
    const byHand = (/** @type {number} */ id) =>
      sender.query('select pg_notify($1, $2)', ['bench_bare', JSON.stringify({ id })]);
    const byLibrary = (/** @type {number} */ id) => app.pubsub.notify('bench', { id });
    for (const send of [byHand, byLibrary]) await p50(send, quick ? 1_000 : 5_000); // until V8 has compiled it
    // Short turns, and many: what the machine does otherwise, for seconds at a time, hits both alike.
    const rows = await measure(
      [
        { name: 'bare pg client to bare pg client', run: () => p50(byHand, 300) },
        { name: 'nestjs-pgpubsub notify() to @Listener()', run: () => p50(byLibrary, 300) },
      ],
      rounds * 10,
    );
    await Promise.all([sender.end(), bare.end(), app.close()]);
    return rows;
  },
};
