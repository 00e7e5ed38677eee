// @ts-check
import { setImmediate as turn, setTimeout as delay } from 'node:timers/promises';
import { broadcasters, pgpubsub } from '../broadcasters.js';
import { assert, measure, quantile } from '../measure.js';

const CHANNEL = 'bench';

/**
 * Broadcasts at an even rate: the time from the planned sending to the call of the handler, both in
 * this process.
 * @param {number} perSecond
 */
export default (perSecond) => ({
  title: `latency of broadcasts to their handler, ${perSecond.toLocaleString('en')} per second, p50 in milliseconds (lower is better)`,
  /** @param {{ url: string, rounds: number, quick: boolean }} options */
  run: ({ url, rounds, quick }) =>
    measure(
      broadcasters.map(([name, start]) => ({
        name,
        isPeer: start !== pgpubsub,
        run: () => latency(url, start, perSecond, perSecond * (quick ? 2 : 3)),
      })),
      rounds,
      { lowerIsBetter: true },
    ),
});

/** @param {string} url @param {import('../broadcasters.js').Start} start @param {number} perSecond @param {number} count */
async function latency(url, start, perSecond, count) {
  const due = new Float64Array(count);
  const calls = new Uint8Array(count);
  /** @type {number[]} */
  const times = [];
  /** @type {() => void} */
  let warm = () => {};
  const isWarm = new Promise((resolve) => {
    warm = () => resolve(undefined);
  });
  const system = await start(url, CHANNEL, ({ id }) => {
    if (id < 0) return warm();
    times.push(performance.now() - due[id]);
    calls[id]++;
  });
  await delay(100); // not all systems report when they listen
  await system.notify({ id: -1 });
  await isWarm;
  await sendEvenly(perSecond, due, (id) => system.notify({ id }));
  for (let waited = 0; times.length < count && waited < 5_000; waited += 10) await delay(10);
  await system.close();
  assertEachOnce(calls, times.length);
  return { value: quantile(times, 0.5), p99: quantile(times, 0.99) };
}

/**
 * Calls `send` with 0, 1, 2, … at an even rate, and writes the planned times into `due`. Latency is
 * counted from the planned time, so that a system does not seem faster because it keeps this
 * process busy and thus delays the next call.
 * @param {number} perSecond
 * @param {Float64Array} due as long as there are calls
 * @param {(id: number) => Promise<unknown>} send
 */
export async function sendEvenly(perSecond, due, send) {
  const began = performance.now();
  for (const id of due.keys()) due[id] = began + (id * 1_000) / perSecond;
  const sending = [];
  for (const [id, at] of due.entries()) {
    await until(at);
    sending.push(send(id));
  }
  const reached = ((due.length - 1) / (performance.now() - began)) * 1_000;
  await Promise.all(sending);
  assert(Math.abs(reached / perSecond - 1) <= 0.1, `${reached} calls a second instead of ${perSecond}`);
}

/** Spends the last millisecond in turns of the event loop: timers are too coarse. @param {number} at */
async function until(at) {
  const early = Math.floor(at - performance.now() - 1);
  if (early > 0) await delay(early);
  while (performance.now() < at) await turn();
}

/** @param {Uint8Array} calls the number of calls by id @param {number} received */
export function assertEachOnce(calls, received) {
  assert(received === calls.length, `${received} of ${calls.length} received`);
  assert(
    calls.every((times) => times === 1),
    'each is received, none twice',
  );
}
