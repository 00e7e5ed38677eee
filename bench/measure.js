// @ts-check
import { setTimeout as delay } from 'node:timers/promises';

/** The result of a run: a rate or milliseconds, and other values to show beside it. */
/** @typedef {number | { value: number } & Record<string, number>} Measurement */
/**
 * One variant of a table. `isPeer`: the variant can be the reference of the table. `than`: the row
 * to compare it with instead, if that row has been measured.
 * @typedef {{ name: string, isPeer?: boolean, than?: string, run: () => Promise<Measurement> }} Variant
 */
/** `than` is the name of the reference row of the ratio. */
/** @typedef {{ name: string, median: number, min: number, max: number, ratio: number, than: string } & Record<string, any>} Row */

/** Fails a run that waits for a lost notification. The longest run takes a quarter of it. */
const DEADLINE_MS = 180_000;

/** @param {readonly number[]} values */
export const median = (values) => {
  const sorted = values.toSorted((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 === 1
    ? Number(sorted[middle])
    : (Number(sorted[middle - 1]) + Number(sorted[middle])) / 2;
};

/** @param {readonly number[]} values @param {number} share 0.99 for p99 */
export const quantile = (values, share) =>
  Number(values.toSorted((a, b) => a - b)[Math.ceil(values.length * share) - 1]);

/**
 * Runs the variants in turn (A B C A B C …), so that a busy moment of the machine affects all of
 * them. With `warmsUp`, one round before the others does not count. The reference of the ratios is
 * the best variant marked `isPeer`, or the first variant if there is none. Other values (CPU time,
 * p99) are compared with the lowest value of a peer. The environment variable `BENCH_VARIANTS`, a
 * regular expression, selects variants by name, for example for profiling.
 * @param {readonly Variant[]} all
 * @param {number} rounds
 * @param {{ lowerIsBetter?: boolean, warmsUp?: boolean }} [options]
 * @returns {Promise<Row[]>}
 */
export async function measure(all, rounds, { lowerIsBetter = false, warmsUp = true } = {}) {
  const chosen = new RegExp(process.env.BENCH_VARIANTS ?? '');
  const variants = all.filter(({ name }) => chosen.test(name));
  /** @type {Record<string, number>[][]} */
  const results = variants.map(() => []);
  for (let round = warmsUp ? -1 : 0; round < rounds; round++) {
    for (const [index, variant] of variants.entries()) {
      const measured = await runInTime(variant);
      if (round >= 0) results[index]?.push(typeof measured === 'number' ? { value: measured } : measured);
    }
  }
  return compare(
    variants.map((variant, index) => ({ ...variant, ...summaryOf(results[index] ?? []) })),
    lowerIsBetter,
  );
}

/** Runs a variant with a timeout, so that a lost notification fails the run. @param {Variant} variant */
async function runInTime({ name, run }) {
  const measured = new AbortController();
  const late = delay(DEADLINE_MS, undefined, { signal: measured.signal }).then(
    () => Promise.reject(new Error(`"${name}" did not end within ${DEADLINE_MS / 1_000} s`)),
    () => Number.NaN, // aborted: its result is not used
  );
  try {
    return await Promise.race([run(), late]);
  } finally {
    measured.abort();
  }
}

/** @param {readonly Record<string, number>[]} results the results of one variant */
function summaryOf(results) {
  /** @param {string} key */
  const valuesOf = (key) => results.map((result) => result[key] ?? Number.NaN);
  const keys = Object.keys(results[0] ?? {}).filter((key) => key !== 'value');
  const values = valuesOf('value');
  return {
    median: median(values),
    min: Math.min(...values),
    max: Math.max(...values),
    more: Object.fromEntries(keys.map((key) => [key, median(valuesOf(key))])),
  };
}

/**
 * @param {readonly (Variant & ReturnType<typeof summaryOf>)[]} rows
 * @param {boolean} lowerIsBetter
 * @returns {Row[]}
 */
function compare(rows, lowerIsBetter) {
  const peers = rows.filter(({ isPeer }) => isPeer).toSorted((a, b) => b.median - a.median);
  const best = (lowerIsBetter ? peers.at(-1) : peers[0]) ?? rows[0];
  const compared = peers.length > 0 ? peers : rows.slice(0, 1);
  return rows.map(({ name, median: middle, min, max, more, than }) => {
    const own = rows.find((row) => row.name === than);
    const reference = own ?? best;
    /** @type {Row} */
    const shown = {
      name,
      median: middle,
      min,
      max,
      ratio: middle / Number(reference?.median),
      than: String(reference?.name),
    };
    for (const [key, measured] of Object.entries(more)) {
      shown[key] = measured;
      shown[`${key} ratio`] =
        measured / Math.min(...(own ? [own] : compared).map((row) => Number(row.more[key])));
    }
    return shown;
  });
}

/**
 * Returns the operations per second of `operation`, which `callers` concurrent callers call `count`
 * times in total.
 * @param {number} count
 * @param {number} callers
 * @param {(index: number) => Promise<unknown>} operation
 */
export async function rateOf(count, callers, operation) {
  let next = 0;
  const caller = async () => {
    while (next < count) await operation(next++);
  };
  const began = performance.now();
  await Promise.all(Array.from({ length: callers }, caller));
  return (count / (performance.now() - began)) * 1_000;
}

/** @param {boolean} holds @param {string} what */
export function assert(holds, what) {
  if (!holds) throw new Error(`wrong result: ${what}`);
}
