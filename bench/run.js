// @ts-check
/**
 * `npm run bench [-- --only drain --quick --rounds 5]`: runs the tables side by side with the peers, prints median,
 * extremes and the ratio to the reference of each, and writes them to `results.json`, `results.md` and the plots, unless it
 * is a quick one.
 */
import { parseArgs } from 'node:util';
import { startPostgres } from '../tools/embedded-postgres.js';
import { describeMachine, isBusy } from './machine.js';
import { withClient } from './queues.js';
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

// Of the defaults only one is too small: the table of observers opens 1,000 connections.
const server = await startPostgres({ durable: true, settings: ['max_connections=1100'] });
try {
  const machine = await describeMachine(server.url);
  console.log(machine.join('\n'));
  const results = [];
  for (const [name, { title, run }] of chosen) {
    console.log(`\n${name}: ${title}`);
    const busy = await isBusy();
    if (busy) console.log('warning: the machine is busy, look at ratios only');
    const began = performance.now();
    const rows = await run({ url: await emptyDatabase(), rounds, quick: values.quick });
    printRows(rows);
    results.push({ name, title, busy, seconds: Math.round((performance.now() - began) / 1_000), rows });
    if (!values.quick) await writeResults({ machine, rounds, tables: results });
  }
  printBudgets(results);
} finally {
  await server.stop();
}

/** What a table leaves behind must not be in the way of the next. */
async function emptyDatabase() {
  await withClient(server.url, async (client) => {
    await client.query('drop database if exists bench with (force)');
    await client.query('create database bench');
    await client.query('checkpoint');
  });
  const url = new URL(server.url);
  url.pathname = 'bench';
  return url.href;
}
