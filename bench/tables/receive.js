// @ts-check
import { setTimeout as delay } from 'node:timers/promises';
import { startApp } from '../app.js';
import { broadcasters, pgpubsub } from '../broadcasters.js';
import { measure } from '../measure.js';
import { withClient } from '../queues.js';
import { assertEachOnce } from './latency-rate.js';

const BARE = 'bare pg';

/** @typedef {import('../broadcasters.js').Start} Start */

export default {
  title: 'receiving at saturation, notifications per second',
  /** @param {{ url: string, rounds: number, quick: boolean }} options */
  async run({ url, rounds, quick }) {
    const count = quick ? 20_000 : 100_000;
    const receivers = [];
    for (const [name, start] of [
      ...broadcasters,
      /** @type {const} */ (['nestjs-pgpubsub observe()', observe]),
    ]) {
      const receiver = await startReceiver(url, `bench_received_${receivers.length}`, start);
      receivers.push({
        name: start === pgpubsub ? `${name} @Listener()` : name,
        isPeer: start !== pgpubsub && start !== observe,
        than: BARE, // most of the others are built on it
        run: () => receiver.receive(count),
        close: receiver.close,
      });
    }
    const rows = await measure(receivers, rounds);
    await Promise.all(receivers.map(({ close }) => close()));
    return rows;
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
 * Starts a system that listens during all rounds, like a long-running process: ours takes up to
 * twice the CPU when it starts again for each round. All systems are connected at the same time,
 * and PostgreSQL wakes all listening sessions, which costs all of them the same.
 * @param {string} url @param {string} channel @param {Start} start
 */
async function startReceiver(url, channel, start) {
  let calls = new Uint8Array();
  let received = 0;
  const times = { first: 0, last: 0 };
  /** @type {() => void} */
  let done = () => {};
  const system = await start(url, channel, ({ id }) => {
    if (received === 0) times.first = performance.now();
    calls[id]++;
    if (++received !== calls.length) return;
    times.last = performance.now();
    done();
  });
  /** Returns the rate from the first to the last notification. @param {number} count */
  const receive = async (count) => {
    calls = new Uint8Array(count);
    received = 0;
    const all = new Promise((resolve) => {
      done = () => resolve(undefined);
    });
    await withClient(url, (client) => client.query(SEND, [channel, count]));
    await all;
    assertEachOnce(calls, received);
    return (count / (times.last - times.first)) * 1_000;
  };
  await delay(100); // not all systems report when they listen
  await receive(1);
  return { receive, close: system.close };
}
