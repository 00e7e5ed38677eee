// @ts-check
import pg from 'pg';
import { startApp } from '../app.js';
import { assert, measure } from '../measure.js';

/** One process receives what another session sends in one transaction, as fast as it can. */
export default {
  title: 'receive at saturation, notifications per second',
  /** @param {{ url: string, rounds: number, quick: boolean }} options */
  async run({ url, rounds, quick }) {
    const count = quick ? 20_000 : 100_000;
    const sender = new pg.Client(url);
    await sender.connect();
    const bare = new pg.Client(url);
    await bare.connect();

    /** @param {string} channel @param {Counter} counter */
    const send = async (channel, counter) => {
      const rate = counter.expect(count);
      await sender.query(SEND, [channel, count]);
      return rate;
    };
    const bareCounter = new Counter();
    bare.on('notification', ({ payload }) => bareCounter.add(JSON.parse(payload ?? '')));
    await bare.query('listen bench_bare');

    const listenerCounter = new Counter();
    const app = await startApp(url, (payload) => listenerCounter.add(payload));

    const observerCounter = new Counter();
    app.pubsub.observe('bench_observed').subscribe(({ payload }) => observerCounter.add(payload));
    const inForce = observerCounter.expect(1);
    await app.pubsub.notify('bench_observed', { id: 1 });
    await inForce;

    const rows = await measure(
      [
        { name: 'bare pg client, JSON.parse', run: () => send('bench_bare', bareCounter) },
        { name: 'nestjs-pgpubsub @Listener()', run: () => send('bench', listenerCounter) },
        { name: 'nestjs-pgpubsub observe()', run: () => send('bench_observed', observerCounter) },
      ],
      rounds,
    );
    await Promise.all([sender.end(), bare.end(), app.close()]);
    return rows;
  },
};

const SEND = `select count(pg_notify($1, '{"id":' || i || ',"status":"shipped","customer":"c-1234567"}'))
  from generate_series(1, $2::int) as i`;

class Counter {
  received = 0;
  sum = 0;
  expected = 0;
  began = 0;
  /** @type {(rate: number) => void} */
  done = () => {};

  /** @param {number} count @returns {Promise<number>} rate from the first to the last, per second */
  expect(count) {
    this.received = 0;
    this.sum = 0;
    this.expected = count;
    return new Promise((resolve) => {
      this.done = resolve;
    });
  }

  /** @param {any} payload */
  add(payload) {
    if (this.received === 0) this.began = performance.now();
    this.received++;
    this.sum += payload.id;
    if (this.received !== this.expected) return;
    const rate = (this.expected / (performance.now() - this.began)) * 1_000;
    assert(this.sum === (this.expected * (this.expected + 1)) / 2, 'the sum of the ids');
    this.done(rate);
  }
}
