// @ts-check
/** One variant of a table: runs once and returns what was measured (a rate, or milliseconds). */
/** @typedef {{ name: string, run: () => Promise<number> }} Variant */
/** @typedef {{ name: string, median: number, min: number, max: number, ratio: number }} Row */

/** @param {readonly number[]} values */
export const median = (values) => {
  const sorted = values.toSorted((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 === 1
    ? Number(sorted[middle])
    : (Number(sorted[middle - 1]) + Number(sorted[middle])) / 2;
};

/**
 * Runs the variants in turn (A B C A B C …), so that a busy moment of the machine hits all of them, after one round
 * that does not count.
 * @param {readonly Variant[]} variants the first one is the reference of the ratios
 * @param {number} rounds
 * @returns {Promise<Row[]>}
 */
export async function measure(variants, rounds) {
  /** @type {number[][]} */
  const results = variants.map(() => []);
  for (let round = -1; round < rounds; round++) {
    for (const [index, variant] of variants.entries()) {
      const value = await variant.run();
      if (round >= 0) results[index]?.push(value);
    }
  }
  const reference = median(results[0] ?? []);
  return variants.map(({ name }, index) => {
    const values = results[index] ?? [];
    return {
      name,
      median: median(values),
      min: Math.min(...values),
      max: Math.max(...values),
      ratio: median(values) / reference,
    };
  });
}

/**
 * Operations per second of `operation`, called `count` times by `callers` at once.
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

/**
 * A fast wrong answer fails the run.
 * @param {boolean} holds
 * @param {string} what
 */
export function assert(holds, what) {
  if (!holds) throw new Error(`wrong result: ${what}`);
}
