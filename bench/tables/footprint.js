// @ts-check
import { fork } from 'node:child_process';
import { once } from 'node:events';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { postgresCpu } from '../cpu.js';
import { assert, measure } from '../measure.js';
import { ours } from '../peers.js';
import { SEED, withClient } from '../queues.js';

const program = fileURLToPath(new URL('../resident.js', import.meta.url));
const SETTLED_MS = 3_000;

/** @typedef {import('../resident.js').Kind} Kind */

const IDLE_MS = 33_000;

/**
 * The resources of an idle process, and the load that it causes on the server. The measured time
 * includes heartbeats (every 10 s) and a poll (every 30 s). The processes run one after the other,
 * because the server's CPU time is not known per client.
 */
export const idle = {
  title: 'idle process: memory in MB, CPU in milliseconds per minute (lower is better)',
  /** @param {{ url: string, rounds: number, quick: boolean }} options */
  run: ({ url, rounds, quick }) => {
    const forMs = quick ? 3_000 : IDLE_MS;
    /** @type {Record<string, Kind>} */
    const kinds = {
      'Nest and TypeORM alone': 'nest',
      'nestjs-pgpubsub, broadcasts and exactly once': 'pgpubsub',
      'graphile-worker (no Nest)': 'graphile-worker',
      'pg-boss (no Nest)': 'pg-boss',
    };
    return measure(
      Object.entries(kinds).map(([name, kind]) => ({ name, run: () => measureIdle(url, kind, forMs) })),
      rounds,
      { lowerIsBetter: true, warmsUp: false },
    );
  },
};

const BURST = 50_000;

/** Peak memory and CPU of a burst. Our buffer holds all of it (see `peers.js`). */
export const burst = {
  title: `burst of ${BURST.toLocaleString('en')} with a buffer of ${ours.resident.buffer.maxSize.toLocaleString('en')}: peak memory in MB over idle, CPU per notification (lower is better)`,
  /** @param {{ url: string, rounds: number, quick: boolean }} options */
  run: ({ url, rounds }) =>
    measure(
      [
        { name: 'bare pg, broadcasts', run: () => measureBurst(url, 'bare-pg', sendBroadcasts) },
        { name: 'nestjs-pgpubsub, broadcasts', run: () => measureBurst(url, 'pgpubsub', sendBroadcasts) },
        { name: 'nestjs-pgpubsub, exactly once', run: () => measureBurst(url, 'pgpubsub', store) },
      ],
      rounds,
      { lowerIsBetter: true },
    ),
};

/** @param {string} url */
const sendBroadcasts = (url) =>
  withClient(url, (client) =>
    client.query(
      `select count(pg_notify('bench', json_build_object('id', i, 'status', 'shipped', 'customer', 'c-1234567')::text))
       from generate_series(1, $1::int) as i`,
      [BURST],
    ),
  );

/** @param {string} url */
const store = (url) =>
  withClient(url, async (client) => {
    await client.query('begin');
    await client.query(SEED, ['bench_resident', 1, BURST]);
    await client.query(`select pg_notify('pgpubsub', 'bench_resident')`);
    await client.query('commit');
  });

/** @param {string} url @param {Kind} kind @param {number} forMs */
async function measureIdle(url, kind, forMs) {
  const cpu = await postgresCpu(url);
  const resident = await start(url, kind);
  await delay(SETTLED_MS);
  const before = { ...(await resident.ask('usage')), postgres: cpu?.() ?? 0 };
  await delay(forMs);
  const postgres = (cpu?.() ?? 0) - before.postgres;
  const after = await resident.ask('usage');
  const { rssMb } = await resident.ask('usage without garbage');
  await resident.stop();
  const perMinute = (/** @type {number} */ seconds) => (seconds * 1_000 * 60_000) / forMs;
  return {
    value: rssMb,
    'node ms/min': perMinute(after.cpuSeconds - before.cpuSeconds),
    ...(cpu && { 'postgres ms/min': perMinute(postgres) }),
  };
}

/** @param {string} url @param {Kind} kind @param {(url: string) => Promise<unknown>} send */
async function measureBurst(url, kind, send) {
  const cpu = await postgresCpu(url);
  const resident = await start(url, kind);
  await delay(500);
  const before = { ...(await resident.ask('usage without garbage')), postgres: cpu?.() ?? 0 };
  const all = resident.reached(BURST);
  await send(url);
  await all;
  const postgres = (cpu?.() ?? 0) - before.postgres;
  const after = await resident.ask('usage');
  await resident.stop();
  assert(after.received === BURST, `${after.received} of ${BURST} received`);
  return {
    value: Math.max(0, after.peakMb - before.rssMb),
    'node µs': ((after.cpuSeconds - before.cpuSeconds) / BURST) * 1e6,
    ...(cpu && { 'postgres µs': (postgres / BURST) * 1e6 }),
  };
}

/** @param {string} url @param {Kind} kind */
async function start(url, kind) {
  const child = fork(program, [url, kind], { execArgv: ['--expose-gc'] });
  await once(child, 'message');
  /** @param {object} question @returns {Promise<import('../resident.js').Usage>} */
  const exchange = async (question) => {
    const answer = once(child, 'message');
    child.send(question);
    return (await answer)[0];
  };
  return {
    /** @param {'usage' | 'usage without garbage'} what */
    ask: (what) => exchange({ what }),
    /** @param {number} count */
    reached: (count) => exchange({ what: 'reached', count }),
    stop: async () => {
      const ended = once(child, 'exit');
      child.send({ what: 'end' });
      await ended;
    },
  };
}
