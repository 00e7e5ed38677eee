// @ts-check
import { setTimeout as delay } from 'node:timers/promises';
import { startApp } from '../app.js';
import { broadcasters, pgpubsub } from '../broadcasters.js';
import { measure } from '../measure.js';
import { withClient } from '../queues.js';
import { assertEachOnce } from './latency-rate.js';

const CHANNEL = 'bench_received';
const BARE = 'bare pg';

/** @typedef {import('../broadcasters.js').Start} Start */

/** One process receives what another session sends in one transaction, as fast as it can. */
export default {
  title: 'receive at saturation, notifications per second',
  /** @param {{ url: string, rounds: number, quick: boolean }} options */
  run({ url, rounds, quick }) {
    const count = quick ? 20_000 : 100_000;
    /** @param {string} name @param {Start} start */
    const variant = (name, start) => ({
      name,
      isPeer: start !== pgpubsub && start !== observe,
      than: BARE, // all of them are built on it, but postgres.js
      run: () => receive(url, start, count),
    });
    return measure(
      [
        ...broadcasters.map(([name, start]) =>
          variant(start === pgpubsub ? `${name} @Listener()` : name, start),
        ),
        variant('nestjs-pgpubsub observe()', observe),
      ],
      rounds,
    );
  },
};

/** @type {Start} */
async function observe(url, channel, received) {
  const { pubsub, close } = await startApp(url, undefined, { listen: false });
  pubsub.observe(channel).subscribe(({ payload }) => received?.(payload));
  return { notify: (payload) => pubsub.notify(channel, payload), close };
}

const SEND = `select count(pg_notify($1, '{"id":' || i || ',"status":"shipped","customer":"c-1234567"}'))
  from generate_series(0, $2::int - 1) as i`;

/**
 * The rate from the first to the last. No other system is connected meanwhile: PostgreSQL wakes all who listen, whatever
 * they listen to.
 * @param {string} url @param {Start} start @param {number} count
 */
async function receive(url, start, count) {
  const calls = new Uint8Array(count);
  let received = 0;
  const times = { first: 0, last: 0 };
  let warm = () => {};
  let done = () => {};
  const isWarm = new Promise((resolve) => {
    warm = () => resolve(undefined);
  });
  const all = new Promise((resolve) => {
    done = () => resolve(undefined);
  });
  const system = await start(url, CHANNEL, ({ id }) => {
    if (id < 0) return warm();
    if (received === 0) times.first = performance.now();
    calls[id]++;
    if (++received !== count) return;
    times.last = performance.now();
    done();
  });
  await delay(100); // not all of them say when they listen
  await system.notify({ id: -1 });
  await isWarm;
  await withClient(url, (client) => client.query(SEND, [CHANNEL, count]));
  await all;
  await system.close();
  assertEachOnce(calls, received);
  return (count / (times.last - times.first)) * 1_000;
}
