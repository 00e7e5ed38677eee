// @ts-check
/** What a run has measured: a rate or milliseconds, and whatever else is to be shown beside it. */
/** @typedef {number | { value: number } & Record<string, number>} Measurement */
/** One variant of a table. `isPeer`: it can be the reference. */
/** @typedef {{ name: string, isPeer?: boolean, run: () => Promise<Measurement> }} Variant */
/** @typedef {{ name: string, median: number, min: number, max: number, ratio: number } & Record<string, number | string>} Row */

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
 * Runs the variants in turn (A B C A B C …), so that a busy moment of the machine hits all of them, after one round
 * that does not count. The reference of the ratios is the better of the variants marked `isPeer`, else the first one;
 * what stands beside it (CPU time, p99) is compared with the least of them.
 * `BENCH_VARIANTS`, a regular expression, leaves only those whose name it matches: for profiling one of them.
 * @param {readonly Variant[]} all
 * @param {number} rounds
 * @param {{ lowerIsBetter?: boolean }} [options]
 * @returns {Promise<Row[]>}
 */
export async function measure(all, rounds, { lowerIsBetter = false } = {}) {
  const chosen = new RegExp(process.env.BENCH_VARIANTS ?? '');
  const variants = all.filter(({ name }) => chosen.test(name));
  /** @type {Record<string, number>[][]} */
  const results = variants.map(() => []);
  for (let round = -1; round < rounds; round++) {
    for (const [index, variant] of variants.entries()) {
      const measured = await variant.run();
      if (round >= 0) results[index]?.push(typeof measured === 'number' ? { value: measured } : measured);
    }
  }
  const rows = variants.map(({ name, isPeer }, index) => {
    const [{ value: _, ...first } = {}] = results[index] ?? [];
    /** @param {string} key */
    const valuesOf = (key) => (results[index] ?? []).map((result) => Number(result[key]));
    const values = valuesOf('value');
    return {
      name,
      isPeer,
      median: median(values),
      min: Math.min(...values),
      max: Math.max(...values),
      more: Object.fromEntries(Object.keys(first).map((key) => [key, median(valuesOf(key))])),
    };
  });
  const peers = rows.filter(({ isPeer }) => isPeer).toSorted((a, b) => b.median - a.median);
  const reference = (lowerIsBetter ? peers.at(-1) : peers[0]) ?? rows[0];
  const compared = peers.length > 0 ? peers : rows.slice(0, 1);
  return rows.map(({ isPeer: _, more, ...row }) => {
    /** @type {Row} */
    const shown = { ...row, ratio: row.median / Number(reference?.median) };
    for (const [key, measured] of Object.entries(more)) {
      shown[key] = measured;
      shown[`${key} ratio`] = measured / Math.min(...compared.map((peer) => Number(peer.more[key])));
    }
    return shown;
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
