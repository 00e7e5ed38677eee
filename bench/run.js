// @ts-check
/**
 * `npm run bench [-- --only publish --quick --rounds 5]`: runs the tables side by side with the peers and prints
 * median, extremes and the ratio to the first row of each.
 */
import os from 'node:os';
import { parseArgs } from 'node:util';
import { startPostgres } from '../tools/embedded-postgres.js';
import { backlog, horizon } from './tables/backlog.js';
import drain from './tables/drain.js';
import drainInsert from './tables/drain-insert.js';
import enqueue, { bulk } from './tables/enqueue.js';
import hydrate from './tables/hydrate.js';
import latency from './tables/latency.js';
import processes from './tables/processes.js';
import publish from './tables/publish.js';
import receive from './tables/receive.js';
import storeTrigger from './tables/store-trigger.js';
import storedIdle from './tables/stored-idle.js';
import storedLatency from './tables/stored-latency.js';
import trigger from './tables/trigger.js';

const tables = {
  publish,
  receive,
  latency,
  trigger,
  'store-trigger': storeTrigger(100_000),
  'store-trigger-10k': storeTrigger(10_000),
  hydrate,
  drain,
  'drain-insert': drainInsert,
  enqueue,
  'enqueue-bulk': bulk,
  'stored-latency': storedLatency,
  'stored-idle': storedIdle,
  backlog,
  horizon,
  processes,
};

const { values } = parseArgs({
  options: {
    only: { type: 'string' },
    quick: { type: 'boolean', default: false },
    rounds: { type: 'string', default: '5' },
  },
});
const chosen = Object.entries(tables).filter(([name]) => values.only === undefined || values.only === name);
if (chosen.length === 0)
  throw new Error(`expected --only to be one of ${Object.keys(tables).join(', ')}, got ${values.only}`);

const server = await startPostgres({ durable: true });
try {
  const busy = os.loadavg()[0] ?? 0;
  console.log(`node ${process.version}, ${os.availableParallelism()} cores, load ${busy.toFixed(1)}`);
  if (busy > os.availableParallelism() / 2) console.log('warning: the machine is busy, look at ratios only');
  for (const [, table] of chosen) {
    console.log(`\n${table.title}`);
    const rows = await table.run({ url: server.url, rounds: Number(values.rounds), quick: values.quick });
    console.table(rows.map(({ name, ...numbers }) => ({ name, ...rounded(numbers) })));
  }
} finally {
  await server.stop();
}

/** @param {Record<string, number>} numbers */
function rounded(numbers) {
  return Object.fromEntries(
    Object.entries(numbers).map(([key, value]) => [key, Number(Number(value).toPrecision(4))]),
  );
}
