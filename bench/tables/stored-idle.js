// @ts-check
import { setTimeout as delay } from 'node:timers/promises';
import { startBare } from '../bare-queue.js';
import { assert, measure, quantile } from '../measure.js';
import { startStoredApp } from '../stored-app.js';

const CHANNEL = 'bench_idle';
const IDLE_MS = 20; // until the work of the previous notification has ended
const WARM_MS = 500; // until the work of the first notification has ended

/** One notification on an idle system, until its handler's transaction has committed. */
export default {
  title:
    'latency of a stored notification from notify() to its commit, idle system, p50 in milliseconds (lower is better)',
  /** @param {{ url: string, rounds: number, quick: boolean }} options */
  run: ({ url, rounds, quick }) => {
    const count = quick ? 100 : 500;
    return measure(
      [
        { name: 'bare pg clients', run: () => idleLatency(count, (on) => startBare(url, on)) },
        { name: 'nestjs-pgpubsub', run: () => idleLatency(count, (on) => startOurs(url, on)) },
      ],
      rounds,
    );
  },
};

/** @import { Observer, System } from '../bare-queue.js' */

/** @param {number} count @param {(observer: Observer) => Promise<System>} start */
async function idleLatency(count, start) {
  /** @type {number[]} */
  const handled = [];
  /** @type {number[]} */
  const committed = [];
  /** @type {number[]} */
  const ids = [];
  const at = { handled: 0, committed: 0 };
  let done = () => {};
  const system = await start({
    handled: (id) => {
      at.handled = performance.now();
      ids.push(id);
    },
    committed: () => {
      if (at.handled <= at.committed) return; // another commit
      at.committed = performance.now();
      done();
    },
  });
  for (let id = 0; id <= count; id++) {
    await delay(id === 1 ? WARM_MS : IDLE_MS);
    const end = new Promise((resolve) => {
      done = () => resolve(undefined);
    });
    const sent = performance.now();
    await Promise.all([system.send(id), end]);
    if (id === 0) continue; // includes one-time work
    handled.push(at.handled - sent);
    committed.push(at.committed - sent);
  }
  await system.close();
  assert(
    ids.length === count + 1 && ids.every((id, index) => id === index),
    `${ids.length} of ${count + 1} handled, each in its turn`,
  );
  return {
    value: quantile(committed, 0.5),
    p99: quantile(committed, 0.99),
    'p50 handler': quantile(handled, 0.5),
  };
}

/** @param {string} url @param {Observer} observer @returns {Promise<System>} */
async function startOurs(url, { handled, committed }) {
  const { channel, pubsub, dataSource, close } = await startStoredApp(url, {
    channel: CHANNEL,
    handle: (ids) => ids.forEach(handled),
  });
  observeCommits(/** @type {any} */ (dataSource.driver).master, committed);
  return { send: (id) => pubsub.notify(channel, { id }), close };
}

/**
 * Observes the statements of the pool's clients, because no public event reports the commit of a
 * claim.
 * @param {pg.Pool} pool @param {() => void} committed
 */
function observeCommits(pool, committed) {
  const watched = new WeakSet();
  pool.on('acquire', (/** @type {any} */ client) => {
    if (watched.has(client)) return;
    watched.add(client);
    const query = client.query;
    client.query = (/** @type {any[]} */ ...given) => {
      const result = query.apply(client, given);
      const text = typeof given[0] === 'string' ? given[0] : (given[0]?.text ?? '');
      if (/\bcommit\b/i.test(text)) result?.then?.(committed, () => {});
      return result;
    };
  });
}
