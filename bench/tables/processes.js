// @ts-check
import { fork } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { postgresCpu } from '../cpu.js';
import { assert, measure } from '../measure.js';
import { SEED, withClient } from '../queues.js';
import { startStoredApp } from '../stored-app.js';

const CHANNEL = 'bench_processes';

export default {
  title:
    'handling stored notifications in several processes, a listener that writes nothing, notifications per second',
  /** @param {{ url: string, rounds: number, quick: boolean }} options */
  run: ({ url, rounds, quick }) => {
    const count = quick ? 20_000 : 40_000;
    const variants = [1, 2, 4].map((processes) => ({
      name: processes === 1 ? '1 process' : `${processes} processes`,
      run: () => drainBy(url, processes, count),
    }));
    return measure(variants, rounds);
  },
};

/** @param {string} url @param {number} processes @param {number} count */
async function drainBy(url, processes, count) {
  await withClient(url, (client) => client.query('drop table if exists pgpubsub_notification cascade'));
  const app = await startStoredApp(url, { channel: CHANNEL });
  await app.close();
  const children = Array.from({ length: processes }, () => fork(fileURLToPath(import.meta.url), [url]));
  await Promise.all(children.map((child) => once(child, 'message')));
  await withClient(url, async (client) => {
    await client.query(SEED, [CHANNEL, 1, count]);
    await client.query('analyze pgpubsub_notification');
    await client.query('checkpoint');
  });

  const cpu = await postgresCpu(url);
  const before = cpu?.() ?? 0;
  const began = performance.now();
  const results = children.map((child) => once(child, 'message'));
  for (const child of children) child.send('drain');
  const shares = (await Promise.all(results)).map(([ids]) => ids);
  const rate = (count / (performance.now() - began)) * 1_000;
  const postgres = cpu === undefined ? undefined : cpu() - before;

  const ended = children.map((child) => once(child, 'exit'));
  for (const child of children) child.send('end');
  await Promise.all(ended);
  const ids = shares.flat();
  assert(
    ids.length === count && new Set(ids).size === count,
    `${ids.length} of ${count} handled, none twice`,
  );
  const idle = shares.filter((share) => share.length === 0).length;
  assert(idle === 0, `${idle} of ${processes} processes got nothing`);
  return { value: rate, ...(postgres !== undefined && { 'postgres µs': (postgres / count) * 1e6 }) };
}

/** The child process. @param {string} url */
async function child(url) {
  /** @type {number[]} */
  const handled = [];
  const app = await startStoredApp(url, { channel: CHANNEL, handle: (ids) => void handled.push(...ids) });
  const onMessage = async (/** @type {unknown} */ message) => {
    if (message === 'end') {
      await app.close();
      process.disconnect();
    } else {
      await app.pubsub.recover();
      process.send?.(handled);
    }
  };
  process.on('message', (message) => void onMessage(message));
  process.on('disconnect', () => process.exit()); // the run has failed
  process.send?.('ready');
}

if (process.send !== undefined && process.argv[2] !== undefined) await child(process.argv[2]);
