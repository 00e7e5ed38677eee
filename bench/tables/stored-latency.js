// @ts-check
import { setTimeout as delay } from 'node:timers/promises';
import { makeWorkerUtils, run as runWorker } from 'graphile-worker';
import { PgBoss } from 'pg-boss';
import { startBare } from '../bare-queue.js';
import { measure, quantile } from '../measure.js';
import * as settings from '../peers.js';
import { quiet, withClient } from '../queues.js';
import { startStoredApp } from '../stored-app.js';
import { assertEachOnce, sendEvenly } from './latency-rate.js';

const PER_SECOND = 200;
const CHANNEL = 'bench_latency';

/** @import { System } from '../bare-queue.js' */

/** 200 notifications a second: the time from the planned sending to the call of the handler. */
export default {
  title: `latency of stored notifications to their handler, ${PER_SECOND} per second, p50 in milliseconds (lower is better)`,
  /** @param {{ url: string, rounds: number, quick: boolean }} options */
  async run({ url, rounds, quick }) {
    const count = quick ? 400 : 1_500;
    /** @param {(received: (id: number) => void) => Promise<System>} start */
    const p50 = async (start) => {
      const due = new Float64Array(count);
      const calls = new Uint8Array(count);
      /** @type {number[]} */
      const times = [];
      const system = await start((id) => {
        if (id < 0) return;
        times.push(performance.now() - due[id]);
        calls[id]++;
      });
      await system.send(-1); // triggers one-time work
      await delay(500);
      await sendEvenly(PER_SECOND, due, system.send);
      for (let waited = 0; times.length < count && waited < 5_000; waited += 50) await delay(50);
      await delay(100);
      await system.close();
      assertEachOnce(calls, times.length);
      return { value: quantile(times, 0.5), p99: quantile(times, 0.99) };
    };
    await withClient(url, (client) => client.query('checkpoint'));
    return measure(
      [
        { name: 'graphile-worker', isPeer: true, run: () => p50((to) => startGraphileWorker(url, to)) },
        { name: 'pg-boss', isPeer: true, run: () => p50((to) => startPgBoss(url, to)) },
        { name: 'nestjs-pgpubsub', run: () => p50((to) => startOurs(url, to)) },
        { name: 'bare pg clients', run: () => p50((to) => startBare(url, { handled: to, committed() {} })) },
      ],
      rounds,
      { lowerIsBetter: true },
    );
  },
};

/** @param {string} url @param {(id: number) => void} received @returns {Promise<System>} */
async function startGraphileWorker(url, received) {
  const utils = await makeWorkerUtils({
    connectionString: url,
    logger: quiet,
    ...settings.graphileWorker.enqueue,
  });
  const runner = await runWorker({
    preset: { worker: { connectionString: url, ...settings.graphileWorker.latency } },
    noHandleSignals: true,
    logger: quiet,
    taskList: { [CHANNEL]: (/** @type {any} */ { id }) => received(id) },
  });
  return {
    send: (id) => utils.addJob(CHANNEL, { id }),
    close: async () => {
      await runner.stop();
      await utils.release();
    },
  };
}

/** @param {string} url @param {(id: number) => void} received @returns {Promise<System>} */
async function startPgBoss(url, received) {
  const { instance, queue, work } = settings.pgBoss.latency;
  const boss = new PgBoss({ connectionString: url, ...settings.pgBoss.instance, ...instance });
  await boss.start();
  await boss.createQueue(CHANNEL, { ...settings.pgBoss.queue, ...queue });
  await boss.work(CHANNEL, work, async (/** @type {any[]} */ jobs) => {
    for (const { data } of jobs) received(data.id);
  });
  return { send: (id) => boss.send(CHANNEL, { id }), close: () => boss.stop() };
}

/** @param {string} url @param {(id: number) => void} received @returns {Promise<System>} */
async function startOurs(url, received) {
  const { channel, pubsub, close } = await startStoredApp(url, {
    channel: CHANNEL,
    handle: (ids) => ids.forEach(received),
  });
  return { send: (id) => pubsub.notify(channel, { id }), close };
}
