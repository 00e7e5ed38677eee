// @ts-check
import { setTimeout as delay } from 'node:timers/promises';
import pg from 'pg';
import { measure, quantile } from '../measure.js';
import { startStoredApp } from '../stored-app.js';

const CHANNEL = 'bench_idle';
const IDLE_MS = 20; // what the one before has set off is over

/**
 * One notification on an idle system, until it is handled and the transaction that acknowledges it has committed.
 * The bare clients do the least that can be done: one is notified, the other locks, deletes and commits.
 */
export default {
  title:
    'latency of one stored notification, idle system, notify() → committed, p50 in milliseconds (lower is better)',
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

/** @typedef {{ handled: () => void, committed: () => void }} Observer */
/** @typedef {{ send: () => Promise<unknown>, close: () => Promise<void> }} System */

/** @param {number} count @param {(observer: Observer) => Promise<System>} start */
async function idleLatency(count, start) {
  /** @type {number[]} */
  const handled = [];
  /** @type {number[]} */
  const committed = [];
  let sent = 0;
  let wasHandled = false;
  let done = () => {};
  const system = await start({
    handled: () => {
      handled.push(performance.now() - sent);
      wasHandled = true;
    },
    committed: () => {
      if (!wasHandled) return; // of something else
      wasHandled = false;
      committed.push(performance.now() - sent);
      done();
    },
  });
  for (let index = 0; index < count; index++) {
    await delay(IDLE_MS);
    const end = new Promise((resolve) => {
      done = () => resolve(undefined);
    });
    sent = performance.now();
    await Promise.all([system.send(), end]);
  }
  await system.close();
  return {
    value: quantile(committed, 0.5),
    p99: quantile(committed, 0.99),
    'p50 handler': quantile(handled, 0.5),
  };
}

/** @param {string} url @param {Observer} observer @returns {Promise<System>} */
async function startBare(url, { handled, committed }) {
  const [sender, listener, worker] = [new pg.Client(url), new pg.Client(url), new pg.Client(url)];
  await Promise.all([sender.connect(), listener.connect(), worker.connect()]);
  await sender.query(
    'create table if not exists bench_bare_message (id bigint generated always as identity primary key, payload json)',
  );
  const work = async () => {
    await worker.query('begin');
    const { rows } = await worker.query(
      'select id, payload from bench_bare_message order by id limit 1 for update skip locked',
    );
    handled();
    await worker.query('delete from bench_bare_message where id = $1', [rows[0].id]);
    await worker.query('commit');
    committed();
  };
  listener.on('notification', () => void work());
  await listener.query('listen bench_bare_message');
  return {
    send: () =>
      sender.query(
        `with stored as (insert into bench_bare_message (payload) values ($1)) select pg_notify('bench_bare_message', '')`,
        [{ id: 1 }],
      ),
    close: async () => {
      await Promise.all([sender.end(), listener.end(), worker.end()]);
    },
  };
}

/** @param {string} url @param {Observer} observer @returns {Promise<System>} */
async function startOurs(url, { handled, committed }) {
  const { channel, pubsub, dataSource, close } = await startStoredApp(url, {
    channel: CHANNEL,
    handle: () => handled(),
  });
  observeCommits(/** @type {any} */ (dataSource.driver).master, committed);
  await pubsub.notify(channel, { id: 0 });
  await delay(500);
  return { send: () => pubsub.notify(channel, { id: 1 }), close };
}

/**
 * Nothing public says that a claim has committed: what the clients of the pool send is looked at.
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
