// @ts-check
/**
 * `npm run bench [-- --only drain --quick --rounds 5]`: runs the tables, with the peers in the same
 * run, and prints medians, extremes and ratios. Writes `results.json`, `results.md` and the plots,
 * except with `--quick` or fewer than 3 rounds.
 */
import { parseArgs } from 'node:util';
import { startPostgres } from '../tools/embedded-postgres.js';
import { describeMachine, isBusy, watchOthers } from './machine.js';
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

const isPart = values.quick || Boolean(process.env.BENCH_VARIANTS);
const isWritten = !isPart && rounds >= 3;

const DATABASE = 'pgpubsub_bench';

// The table of observers opens 1,000 connections.
const server = await startPostgres({ durable: true, settings: ['max_connections=1100'] });
try {
  await runTables();
} catch (error) {
  console.error(error);
  process.exitCode = 1;
  process.on('uncaughtException', () => {}); // errors of open connections when the server stops
}
try {
  await query(`drop database if exists ${DATABASE} with (force)`);
} finally {
  await server.stop();
}
process.exit(); // even if a failed run still waits

async function runTables() {
  const machine = await describeMachine(server.url);
  console.log(machine.join('\n'));
  if (!isWritten)
    console.log('results are not written: this requires all variants, at least three rounds, and no --quick');
  const measured = { date: new Date().toISOString().slice(0, 10), rounds, machine };
  const results = [];
  for (const [name, table] of chosen) {
    results.push({ name, title: table.title, ...(await runTable(name, table)), measured });
    if (isWritten) await writeResults(results);
  }
  printBudgets(results, { isPart });
}

/** @param {string} name @param {import('./tables.js').Table} table */
async function runTable(name, { title, run }) {
  console.log(`\n${name}: ${title}`);
  const wasBusy = await isBusy(server.url);
  const others = await watchOthers(server.url);
  const began = performance.now();
  const rows = await run({ url: await emptyDatabase(), rounds, quick: values.quick });
  const seconds = Math.round((performance.now() - began) / 1_000);
  const busy = wasBusy || (others.isKnown ? others.areBusy() : await isBusy(server.url));
  printRows(rows);
  if (busy) console.log('warning: the machine was busy; compare ratios only');
  return { busy, seconds, rows };
}

/** Returns the URL of a new database: a table must not affect the next one. */
async function emptyDatabase() {
  await query(`drop database if exists ${DATABASE} with (force)`);
  await query(`create database ${DATABASE}`);
  await query('checkpoint');
  const url = new URL(server.url);
  url.pathname = DATABASE;
  return url.href;
}

/** @param {string} sql */
function query(sql) {
  return withClient(server.url, (client) => client.query(sql));
}
