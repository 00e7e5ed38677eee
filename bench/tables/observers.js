// @ts-check
import { setImmediate as turn } from 'node:timers/promises';
import pg from 'pg';
import { startApp } from '../app.js';
import { measure } from '../measure.js';
import { withClient } from '../queues.js';
import { assertEachOnce } from './latency-rate.js';

const CHANNEL = 'bench_observed';

/**
 * The work of a page with Server-Sent Events: one observer per visitor, each of which receives all
 * notifications. With this library they share one connection; otherwise each has a connection.
 */
export default {
  title: 'observers in one process, deliveries per second',
  /** @param {{ url: string, rounds: number, quick: boolean }} options */
  async run({ url, rounds, quick }) {
    const free = await freeConnections(url);
    const deliveries = quick ? 100_000 : 500_000;
    const sizes = [1, 10, 100, 1_000];
    const variants = [];
    for (const observers of sizes) {
      const count = Math.max(100, Math.min(20_000, deliveries / observers));
      const each = `${observers} with a connection each`;
      const fits = observers <= free;
      if (fits) variants.push({ name: each, run: () => deliver(url, count, observers, observeEach) });
      else console.log(`left out: ${observers} connections (the server has ${free} to spare)`);
      variants.push({
        name: `${observers} on one connection`,
        ...(fits && { than: each }), // the same number of observers
        run: () => deliver(url, count, observers, observeShared),
      });
    }
    return measure(variants, rounds);
  },
};

/** @typedef {(id: number, observer: number) => void} Received */
/** @typedef {(url: string, observers: number, received: Received) => Promise<() => Promise<unknown>>} Observe */

/** @param {string} url @param {number} count @param {number} observers @param {Observe} observe */
async function deliver(url, count, observers, observe) {
  let received = 0;
  let began = 0;
  const expected = count * observers;
  const calls = new Uint8Array(expected);
  /** @type {() => void} */
  let done = () => {};
  const all = new Promise((resolve) => {
    done = () => resolve(undefined);
  });
  const close = await observe(url, observers, (id, observer) => {
    if (received++ === 0) began = performance.now();
    calls[id * observers + observer]++;
    if (received === expected) done();
  });
  await withClient(url, (client) =>
    client.query(
      `select count(pg_notify('${CHANNEL}', json_build_object('id', i)::text)) from generate_series(0, $1::int - 1) as i`,
      [count],
    ),
  );
  await all;
  const rate = (expected / (performance.now() - began)) * 1_000;
  await turn();
  await close();
  assertEachOnce(calls, received);
  return rate;
}

/** @type {Observe} */
async function observeShared(url, observers, received) {
  const { pubsub, close } = await startApp(url, undefined, { listen: false });
  for (let observer = 0; observer < observers; observer++)
    pubsub
      .observe(CHANNEL)
      .subscribe((/** @type {{ payload: any }} */ { payload }) => received(payload.id, observer));
  const isListening = new Promise((resolve) => {
    pubsub.connection$.subscribe((state) => state === 'listening' && resolve(undefined));
  });
  await isListening;
  return close;
}

/** @type {Observe} */
async function observeEach(url, observers, received) {
  const clients = Array.from({ length: observers }, () => new pg.Client(url));
  for (const [observer, client] of clients.entries()) {
    await client.connect();
    client.on('notification', ({ payload }) => received(JSON.parse(payload ?? '').id, observer));
    await client.query(`listen ${CHANNEL}`);
  }
  return () => Promise.all(clients.map((client) => client.end()));
}

/** @param {string} url */
async function freeConnections(url) {
  const { rows } = await withClient(url, (client) =>
    client.query(
      `select current_setting('max_connections')::int - count(*)::int as free from pg_stat_activity`,
    ),
  );
  return Number(rows[0].free) - 20; // used by the benchmark itself
}
