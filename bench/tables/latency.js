// @ts-check
import pg from 'pg';
import { startApp } from '../app.js';
import { measure, median } from '../measure.js';

/** notify → handler on an idle system: both ends in this process, one notification at a time. */
export default {
  title: 'latency notify → handler, idle system, p50 in milliseconds (lower is better)',
  /** @param {{ url: string, rounds: number, quick: boolean }} options */
  async run({ url, rounds, quick }) {
    const count = quick ? 300 : 1_000;
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

    /** @param {(id: number) => Promise<unknown>} send */
    const p50 = async (send) => {
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
    const rows = await measure(
      [
        {
          name: 'bare pg client to bare pg client',
          run: () =>
            p50((id) => sender.query('select pg_notify($1, $2)', ['bench_bare', JSON.stringify({ id })])),
        },
        {
          name: 'nestjs-pgpubsub notify() to @Listener()',
          run: () => p50((id) => app.pubsub.notify('bench', { id })),
        },
      ],
      rounds,
    );
    await Promise.all([sender.end(), bare.end(), app.close()]);
    return rows;
  },
};
