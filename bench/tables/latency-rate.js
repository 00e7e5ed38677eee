// @ts-check
import { setTimeout as delay } from 'node:timers/promises';
import { broadcasters } from '../broadcasters.js';
import { assert, measure, quantile } from '../measure.js';

const CHANNEL = 'bench';

/**
 * Broadcasts at an even rate: from the call that sends one to the call of the handler, both in this process.
 * @param {number} perSecond
 */
export default (perSecond) => ({
  title: `latency at ${perSecond} broadcasts a second, notify → handler, p50 in milliseconds (lower is better)`,
  /** @param {{ url: string, rounds: number, quick: boolean }} options */
  run: ({ url, rounds, quick }) =>
    measure(
      broadcasters.map(([name, start]) => ({
        name,
        run: () => latency(url, start, perSecond, perSecond * (quick ? 2 : 3)),
      })),
      rounds,
      { lowerIsBetter: true },
    ),
});

/** @param {string} url @param {import('../broadcasters.js').Start} start @param {number} perSecond @param {number} count */
async function latency(url, start, perSecond, count) {
  const sent = new Float64Array(count);
  /** @type {number[]} */
  const times = [];
  /** @type {() => void} */
  let warm = () => {};
  const isWarm = new Promise((resolve) => {
    warm = () => resolve(undefined);
  });
  const system = await start(url, CHANNEL, ({ id }) => {
    if (id < 0) warm();
    else times.push(performance.now() - sent[id]);
  });
  await delay(100); // not all of them say when they listen
  await system.notify({ id: -1 });
  await isWarm;
  const began = performance.now();
  const sending = [];
  for (let id = 0; id < count; id++) {
    const at = began + (id * 1_000) / perSecond;
    if (at > performance.now()) await delay(at - performance.now());
    sent[id] = performance.now();
    sending.push(system.notify({ id }));
  }
  await Promise.all(sending);
  for (let waited = 0; times.length < count && waited < 5_000; waited += 10) await delay(10);
  await system.close();
  assert(times.length === count, `${times.length} of ${count} received`);
  return { value: quantile(times, 0.5), p99: quantile(times, 0.99) };
}
