// @ts-check
/**
 * `npm run bench [-- --only drain --quick --rounds 5]`: runs the tables side by side with the peers, prints median,
 * extremes and the ratio to the reference of each, and writes `results.json`, `results.md` and the plots when all of
 * them have run.
 */
import { parseArgs } from 'node:util';
import { startPostgres } from '../tools/embedded-postgres.js';
import { describeMachine, isBusy } from './machine.js';
import { printBudgets, printRows, writeResults } from './results.js';
import { tables } from './tables.js';

const { values } = parseArgs({
  options: {
    only: { type: 'string', multiple: true },
    quick: { type: 'boolean', default: false },
    rounds: { type: 'string' },
  },
});
const unknown = values.only?.find((name) => !(name in tables));
if (unknown !== undefined)
  throw new Error(`expected --only to be one of ${Object.keys(tables).join(', ')}, got ${unknown}`);
const chosen = Object.entries(tables).filter(([name]) => values.only?.includes(name) ?? true);
const rounds = Number(values.rounds ?? (values.quick ? 1 : 3));

const server = await startPostgres({ durable: true });
try {
  const machine = await describeMachine(server.url);
  console.log(machine.join('\n'));
  const results = [];
  for (const [name, { title, run }] of chosen) {
    console.log(`\n${name}: ${title}`);
    const busy = isBusy();
    if (busy) console.log('warning: the machine is busy, look at ratios only');
    const began = performance.now();
    const rows = await run({ url: server.url, rounds, quick: values.quick });
    printRows(rows);
    results.push({ name, title, busy, seconds: Math.round((performance.now() - began) / 1_000), rows });
  }
  printBudgets(results);
  if (values.only === undefined && !values.quick) await writeResults({ machine, rounds, tables: results });
} finally {
  await server.stop();
}
