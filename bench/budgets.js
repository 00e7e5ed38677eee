// @ts-check
/**
 * What this library has set itself, as ratios of rows of one table: `atLeast` for rates, `atMost` for times and CPU. A
 * run that has measured both says which of them hold. `than`: the row that is the reference; without it the table's own.
 * @typedef {{ table: string, row: string, than?: string, column?: string, atLeast?: number, atMost?: number }} Budget
 */

const AT_A_TIME = 'nestjs-pgpubsub';
const INTERLEAVED = 'nestjs-pgpubsub, concurrency: 50';
const BATCHED = 'nestjs-pgpubsub, batch: true';
const SERVER = 'postgres µs';

/** @type {readonly Budget[]} */
export const budgets = [
  { table: 'publish', row: 'nestjs-pgpubsub', than: 'pg-listen', atLeast: 8 },
  { table: 'publish', row: 'nestjs-pgpubsub', than: 'by hand: batches, unnested', atLeast: 0.7 },
  { table: 'receive', row: 'nestjs-pgpubsub @Listener()', atLeast: 0.5 },
  { table: 'latency', row: 'nestjs-pgpubsub notify() to @Listener()', atMost: 1.3 },
  {
    table: 'latency',
    row: 'nestjs-pgpubsub notify() to @Listener()',
    than: 'bare pg client, the same statement',
    atMost: 1.3,
  },
  { table: 'trigger', row: "nestjs-pgpubsub, level 'row'", atMost: 1.3 },
  { table: 'trigger', row: "nestjs-pgpubsub, level 'row', a column left out", atMost: 1.3 },
  { table: 'trigger', row: "nestjs-pgpubsub, level 'statement'", atMost: 0.8 },
  { table: 'hydrate', row: 'nestjs-pgpubsub', atMost: 3 },
  ...['store-trigger', 'store-trigger-10k'].flatMap((table) => [
    { table, row: "level 'statement'", atMost: 3 },
    { table, row: "level 'row'", atMost: 5 },
  ]),
  { table: 'drain', row: 'nestjs-pgpubsub', atLeast: 1.2 },
  { table: 'drain', row: 'nestjs-pgpubsub, tuned', atLeast: 2 },
  {
    table: 'drain',
    row: 'nestjs-pgpubsub, tuned',
    than: 'TypeORM transaction each, a tenth of the rows',
    atLeast: 40,
  },
  { table: 'drain', row: 'nestjs-pgpubsub', column: SERVER, atMost: 0.5 },
  { table: 'drain', row: 'nestjs-pgpubsub, tuned', column: SERVER, atMost: 0.5 },
  { table: 'drain-insert', row: AT_A_TIME, atLeast: 1.5 },
  { table: 'drain-insert', row: INTERLEAVED, atLeast: 3 },
  { table: 'drain-insert', row: BATCHED, atLeast: 5 },
  { table: 'drain-insert', row: BATCHED, than: 'pg-boss, transactional, one insert for all', atLeast: 1 },
  ...[AT_A_TIME, INTERLEAVED, BATCHED].map((row) => ({
    table: 'drain-insert',
    row,
    column: SERVER,
    atMost: 0.5,
  })),
  { table: 'enqueue-bulk', row: 'nestjs-pgpubsub', atLeast: 2.5 },
  { table: 'enqueue', row: 'nestjs-pgpubsub', atLeast: 20 },
  { table: 'stored-latency', row: 'nestjs-pgpubsub', atMost: 0.6 },
  { table: 'stored-idle', row: 'nestjs-pgpubsub', atMost: 1.5 },
  { table: 'backlog', row: '1,000,000 waiting', than: '10,000 waiting', atLeast: 0.8 },
  { table: 'horizon', row: 'held', than: 'none held', atLeast: 0.7 },
  { table: 'horizon', row: 'held, process new', than: 'none held, process new', atLeast: 0.7 },
  {
    table: 'writers',
    row: "nestjs-pgpubsub, exactly once, wake: 'poll'",
    than: 'by hand: an outbox row, no NOTIFY',
    atLeast: 1,
  },
  { table: 'processes', row: '2 processes', than: '1 process', atLeast: 1 },
];

/**
 * @typedef {Budget & { measured: number, isMet: boolean }} Verdict
 * @param {readonly { name: string, rows: readonly import('./measure.js').Row[] }[]} tables
 * @param {{ isPart?: boolean }} [options] `isPart`: rows may be missing; else a budget of a row that a table does not
 *   have is an error, as it would never be missed
 * @returns {Verdict[]} those whose rows have been measured
 */
export function judge(tables, { isPart = false } = {}) {
  return budgets.flatMap((budget) => {
    const table = tables.find(({ name }) => name === budget.table);
    if (table === undefined) return [];
    const row = findRow(table, budget.row, isPart);
    const reference = findRow(table, budget.than, isPart);
    if (row === undefined || (budget.than !== undefined && reference === undefined)) return [];
    const measured = ratioOf(row, reference, budget.column);
    if (measured === undefined) return []; // no CPU times of a server elsewhere
    const { atLeast = -Infinity, atMost = Infinity } = budget;
    return [{ ...budget, measured, isMet: measured >= atLeast && measured <= atMost }];
  });
}

/**
 * @param {{ name: string, rows: readonly import('./measure.js').Row[] }} table
 * @param {string | undefined} name
 * @param {boolean} mayMiss
 */
function findRow(table, name, mayMiss) {
  const row = table.rows.find((of) => of.name === name);
  if (row === undefined && name !== undefined && !mayMiss)
    throw new Error(`expected the table ${table.name} to have the row "${name}", which a budget is for`);
  return row;
}

/**
 * @param {import('./measure.js').Row} row
 * @param {import('./measure.js').Row | undefined} reference
 * @param {string} [column]
 * @returns {number | undefined}
 */
function ratioOf(row, reference, column) {
  if (reference === undefined) return row[column === undefined ? 'ratio' : `${column} ratio`];
  return row[column ?? 'median'] / reference[column ?? 'median'];
}
