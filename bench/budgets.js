// @ts-check
/**
 * A goal of this library, as the ratio of two rows of a table: `atLeast` for rates, `atMost` for
 * times and CPU. A run that measures both rows prints whether the goal is met. `than` is the
 * reference row; by default the reference of the table.
 * @typedef {{ table: string, row: string, than?: string, column?: string, atLeast?: number, atMost?: number }} Budget
 */

const AT_A_TIME = 'nestjs-pgpubsub';
const INTERLEAVED = 'nestjs-pgpubsub, concurrency: 50';
const BATCHED = 'nestjs-pgpubsub, batch: true';
const SERVER = 'postgres µs';

/** @type {readonly Budget[]} */
export const budgets = [
  { table: 'publish', row: 'nestjs-pgpubsub', than: 'pg-listen', atLeast: 8 },
  { table: 'publish', row: 'nestjs-pgpubsub', than: 'handwritten: batches, unnested', atLeast: 0.7 },
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
  { table: 'horizon', row: 'with an open transaction', than: 'without an open transaction', atLeast: 0.7 },
  {
    table: 'horizon',
    row: 'with an open transaction, new process',
    than: 'without an open transaction, new process',
    atLeast: 0.7,
  },
  {
    table: 'writers',
    row: "nestjs-pgpubsub, exactly once, wake: 'poll'",
    than: 'handwritten: an outbox row, no NOTIFY',
    atLeast: 1,
  },
  { table: 'processes', row: '2 processes', than: '1 process', atLeast: 1 },
];

/**
 * @typedef {Budget & { measured: number, isMet: boolean }} Verdict
 * @param {readonly { name: string, rows: readonly import('./measure.js').Row[] }[]} tables
 * @param {{ isPart?: boolean }} [options] `isPart`: rows may be missing. Otherwise a budget for a row
 *   that its table does not have is an error, because it would never be checked.
 * @returns {Verdict[]} the verdicts on budgets whose rows have been measured
 */
export function evaluateBudgets(tables, { isPart = false } = {}) {
  return budgets.flatMap((budget) => {
    const table = tables.find(({ name }) => name === budget.table);
    if (table === undefined) return [];
    const row = findRow(table, budget.row, isPart);
    const reference = findRow(table, budget.than, isPart);
    if (row === undefined || (budget.than !== undefined && reference === undefined)) return [];
    const measured = ratioOf(row, reference, budget.column);
    if (measured === undefined) return []; // CPU times of a remote server are unknown
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
  const row = table.rows.find((candidate) => candidate.name === name);
  if (row === undefined && name !== undefined && !mayMiss)
    throw new Error(`a budget refers to the row "${name}", which the table ${table.name} does not have`);
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
