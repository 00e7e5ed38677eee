// @ts-check
import { setTimeout as delay } from 'node:timers/promises';
import { nodeCpu, postgresCpu } from './cpu.js';
import { assert } from './measure.js';
import { withClient } from './queues.js';

/** @typedef {import('./queues.js').Queue} Queue */
/** @typedef {import('./queues.js').Handle} Handle */

/** The row that a handler inserts. The table has no constraint: only the count shows duplicates. */
const NOTE = 'ordinary text of an ordinary row';
const EFFECTS = 'create table if not exists bench_effect (id int not null, note text not null)';

/** @type {Record<'nothing' | 'row' | 'rows', Handle>} */
export const HANDLERS = {
  nothing: () => {},
  row: async (ids, query) => {
    await query('insert into bench_effect (id, note) values ($1, $2)', [ids[0], NOTE]);
  },
  rows: async (ids, query) => {
    await query('insert into bench_effect (id, note) select unnest($1::int[]), $2', [ids, NOTE]);
  },
};

/**
 * Measures the handling of a stored backlog, from the first call of the handler (the start of a
 * system is not measured) until its tables are empty. Each notification must be handled and written
 * exactly once.
 * @param {string} url
 * @param {Queue} queue
 * @param {number} count
 * @param {keyof typeof HANDLERS} kind the work of the handler
 */
export async function drain(url, queue, count, kind) {
  const cpu = await postgresCpu(url);
  await withClient(url, async (client) => {
    await client.query(EFFECTS);
    await client.query('truncate bench_effect');
    await queue.reset(client);
    await client.query('checkpoint'); // avoids one while measuring, and full images of new pages
  });
  await queue.seed(count);

  const seen = new Uint8Array(count + 1);
  const begin = { at: 0, postgres: 0, node: 0 };
  const times = { handled: 0, began: false };
  /** @type {() => void} */
  let allHandled = () => {};
  const all = new Promise((resolve) => {
    allHandled = () => resolve(undefined);
  });
  const work = HANDLERS[kind];
  const stop = await queue.start((ids, query) => {
    if (!times.began) {
      times.began = true;
      begin.postgres = cpu?.() ?? 0;
      begin.node = nodeCpu();
      begin.at = performance.now();
    }
    const note = () => {
      for (const id of ids) seen[id]++;
      times.handled += ids.length;
      if (times.handled === count) allHandled();
    };
    const working = work(ids, query);
    if (working === undefined) return note();
    return working.then(note);
  });
  await all;
  const elapsed = await withClient(url, async (client) => {
    for (;;) {
      const { rows } = await client.query(queue.pending);
      if (!rows[0].pending) return performance.now() - begin.at;
      await delay(2);
    }
  });
  const node = nodeCpu() - begin.node;
  const postgres = cpu === undefined ? undefined : cpu() - begin.postgres;
  await stop();

  assert(times.handled === count, `${times.handled} of ${count} handled`);
  assert(
    seen.every((calls, id) => calls === Number(id > 0)),
    'each is handled, none twice',
  );
  if (kind !== 'nothing') {
    const { rows } = await withClient(url, (client) =>
      client.query('select count(*)::int as rows, count(distinct id)::int as ids from bench_effect'),
    );
    assert(rows[0].rows === count && rows[0].ids === count, `${rows[0].rows} rows of ${count}`);
  }
  return {
    value: (count / elapsed) * 1_000,
    ...(postgres !== undefined && { 'postgres µs': (postgres / count) * 1e6 }),
    'node µs': (node / count) * 1e6,
  };
}
