// @ts-check
import { setTimeout as delay } from 'node:timers/promises';
import pg from 'pg';
import { assert, measure } from '../measure.js';
import { SEED, withClient } from '../queues.js';
import { startStoredApp } from '../stored-app.js';

const CHANNEL = 'bench_backlog';
const DRAINED = 20_000;
const DRAINED_OF_BACKLOG = 10_000; // the same number for each size, because claims grow over time

/** Measures whether a long backlog slows down handling. Each variant handles the oldest rows. */
export const backlog = {
  title: 'handling a backlog with a listener that writes nothing, notifications per second',
  /** @param {{ url: string, rounds: number, quick: boolean }} options */
  async run({ url, rounds, quick }) {
    const sizes = quick ? [10_000, 200_000] : [10_000, 100_000, 1_000_000];
    const variants = [];
    for (const size of sizes) {
      const database = await createDatabase(url, `bench_backlog_${size}`);
      let last = 0;
      variants.push({
        name: `${size.toLocaleString('en')} waiting`,
        run: async () => {
          last = await fill(database, size, last);
          const { rate, handled } = await drainSome(database, DRAINED_OF_BACKLOG, last);
          const left = await countWaiting(database);
          assert(left === size - handled, `${left} left of ${size}, of which ${handled} were handled`);
          return rate;
        },
      });
    }
    return measure(variants, rounds);
  },
};

/** An open transaction prevents vacuum and the indexes from removing handled rows. */
export const horizon = {
  title: 'handling stored notifications while an older transaction stays open, notifications per second',
  /** @param {{ url: string, rounds: number, quick: boolean }} options */
  async run({ url, rounds, quick }) {
    const before = quick ? 50_000 : 500_000;
    /** @param {string} name @param {{ isHeld: boolean, restarts: boolean }} options */
    const variant = async (name, { isHeld, restarts }) => {
      const database = await createDatabase(url, `bench_${name.replaceAll(/\W+/g, '_')}`);
      return {
        name,
        run: async () => {
          await withClient(database, (client) => client.query(RESET));
          const holder = isHeld ? await holdSnapshot(database) : undefined;
          let drainer = await startDrainer(database);
          await drainer.drain(before);
          if (restarts) {
            await drainer.close();
            drainer = await startDrainer(database);
          }
          const rate = await drainer.drain(DRAINED);
          await drainer.close();
          await holder?.end();
          return rate;
        },
      };
    };
    return measure(
      [
        await variant('without an open transaction', { isHeld: false, restarts: false }),
        await variant('with an open transaction', { isHeld: true, restarts: false }),
        await variant('without an open transaction, new process', { isHeld: false, restarts: true }),
        await variant('with an open transaction, new process', { isHeld: true, restarts: true }),
      ],
      rounds,
    );
  },
};

const RESET = 'truncate pgpubsub_notification, pgpubsub_dead_letter';

/** @param {string} url @param {string} name */
async function createDatabase(url, name) {
  await withClient(url, async (client) => {
    await client.query(`drop database if exists ${name} with (force)`);
    await client.query(`create database ${name}`);
  });
  const database = new URL(url);
  database.pathname = name;
  const app = await startStoredApp(database.href, { channel: CHANNEL });
  await app.close();
  return database.href;
}

/** Resolves with the new last id. @param {string} url @param {number} size @param {number} last */
async function fill(url, size, last) {
  const added = size - (await countWaiting(url));
  await withClient(url, async (client) => {
    await client.query(SEED, [CHANNEL, last + 1, last + added]);
    await client.query('vacuum analyze pgpubsub_notification');
    await client.query('checkpoint');
  });
  return last + added;
}

/** @param {string} url */
const countWaiting = (url) =>
  withClient(url, async (client) => {
    const { rows } = await client.query('select count(*)::int as waiting from pgpubsub_notification');
    return Number(rows[0].waiting);
  });

/**
 * Measures the rate of the first `count` notifications; the others remain stored.
 * @param {string} url @param {number} count @param {number} last the greatest id
 */
async function drainSome(url, count, last) {
  const calls = new Uint8Array(last + 1);
  let handled = 0;
  let began = 0;
  let done = (/** @type {number} */ _rate) => {};
  const reached = new Promise((resolve) => {
    done = resolve;
  });
  const app = await startStoredApp(url, {
    channel: CHANNEL,
    handle: ([id]) => {
      if (handled++ === 0) began = performance.now();
      calls[id]++;
      if (handled === count) done((count / (performance.now() - began)) * 1_000);
    },
  });
  const rate = await reached;
  await app.close();
  assert(
    calls.every((times) => times <= 1),
    'none is handled twice',
  );
  return { rate, handled };
}

/** @param {string} url */
async function startDrainer(url) {
  let handled = 0;
  let began = 0;
  const app = await startStoredApp(url, {
    channel: CHANNEL,
    handle: () => {
      if (handled++ === 0) began = performance.now();
    },
  });
  await delay(200); // its first poll has found nothing
  return {
    /** @param {number} count */
    drain: async (count) => {
      handled = 0;
      await withClient(url, async (client) => {
        await client.query(SEED, [CHANNEL, 1, count]);
        await client.query('checkpoint');
      });
      await app.pubsub.recover();
      const rate = (count / (performance.now() - began)) * 1_000;
      assert(handled === count, `${handled} of ${count} handled`);
      return rate;
    },
    close: app.close,
  };
}

/** @param {string} url */
async function holdSnapshot(url) {
  const client = new pg.Client(url);
  await client.connect();
  await client.query('begin isolation level repeatable read');
  await client.query('select count(*) from pgpubsub_notification');
  return client;
}
