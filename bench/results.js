// @ts-check
import fs from 'node:fs';
import { format, resolveConfig } from 'prettier';
import { evaluateBudgets } from './budgets.js';
import { renderPlot } from './plot.js';
import { tables as order } from './tables.js';

/** @typedef {{ date: string, rounds: number, machine: readonly string[] }} Circumstances */
/** @typedef {{ name: string, title: string, busy: boolean, seconds: number, measured: Circumstances, rows: import('./measure.js').Row[] }} TableResult */

/** @param {import('./measure.js').Row[]} rows */
export function printRows(rows) {
  const columns = columnsOf(rows);
  console.table(rows.map(rounded), columns);
  if (!columns.includes('than')) console.log(`ratios refer to the row "${rows[0]?.than}"`);
}

/** @param {readonly TableResult[]} tables @param {{ isPart: boolean }} options */
export function printBudgets(tables, options) {
  const verdicts = evaluateBudgets(tables, options);
  if (verdicts.length === 0) return;
  console.log('\nbudgets');
  console.table(
    verdicts.map(({ table, row, measured, isMet, ...budget }) => ({
      table,
      row,
      wanted: wantedOf(budget),
      measured: Number(measured.toPrecision(3)),
      met: isMet,
    })),
  );
}

/** @param {Pick<import('./budgets.js').Budget, 'than' | 'column' | 'atLeast' | 'atMost'>} budget */
const wantedOf = ({ than, column, atLeast, atMost }) =>
  [
    atLeast === undefined ? `at most ${atMost}` : `at least ${atLeast}`,
    than && `of ${than}`,
    column && `in ${column}`,
  ]
    .filter(Boolean)
    .join(' ');

const RESULTS = new URL('results.json', import.meta.url);

/**
 * Writes results.json, results.md and a plot for each table. Tables that were not run keep their
 * earlier results.
 * @param {readonly TableResult[]} tables
 */
export async function writeResults(tables) {
  const known = fs.existsSync(RESULTS)
    ? /** @type {{ tables: TableResult[] }} */ (JSON.parse(fs.readFileSync(RESULTS, 'utf8'))).tables
    : [];
  const all = Object.keys(order).flatMap((name) => {
    const table = findByName(tables, name) ?? findByName(known, name);
    return table === undefined ? [] : [{ ...table, rows: table.rows.map(rounded) }];
  });
  fs.writeFileSync(RESULTS, `${JSON.stringify({ tables: all }, undefined, 2)}\n`);
  await writeMarkdown(new URL('results.md', import.meta.url), renderMarkdown(all));
  const plots = new URL('../docs/plots/', import.meta.url);
  fs.mkdirSync(plots, { recursive: true });
  for (const table of all) fs.writeFileSync(new URL(`${table.name}.svg`, plots), renderPlot(table));
}

/** @param {readonly TableResult[]} tables @param {string} name */
const findByName = (tables, name) => tables.find((table) => table.name === name);

/** @param {URL} file @param {string} text */
async function writeMarkdown(file, text) {
  const style = await resolveConfig(file);
  fs.writeFileSync(file, await format(text, { ...style, parser: 'markdown' }));
}

/** @param {readonly TableResult[]} tables */
function renderMarkdown(tables) {
  const usual = usualOf(tables);
  return [
    '# Results',
    '',
    `\`npm run bench\` measured these figures on ${usual.date}. Each is the median of ${usual.rounds} rounds, in which the variants of a`,
    'table run in turn. Ratios refer to the best peer, or to the first row if there is no peer; ratios of CPU times and p99',
    'refer to the lowest value of a peer. Differences in how a table was measured are stated below it.',
    '',
    ...usual.machine.map((line) => `- ${line}`),
    '',
    '## Budgets',
    '',
    'The goals of the library, as ratios to the reference of the table or to the named row.',
    '',
    '| table | row | wanted | measured |  |',
    '| --- | --- | --- | --- | --- |',
    ...evaluateBudgets(tables, { isPart: true }).map(
      ({ table, row, measured, isMet, ...budget }) =>
        `| [${table}](#${table}) | ${row} | ${wantedOf(budget)} | ${textOf(measured)} | ${isMet ? 'met' : '**not met**'} |`,
    ),
    ...tables.flatMap((table) => renderTable(table, usual)),
    '',
  ].join('\n');
}

/** Returns the most frequent circumstances. @param {readonly TableResult[]} tables @returns {Circumstances} */
function usualOf(tables) {
  const all = tables.map(({ measured }) => JSON.stringify(measured));
  const countOf = (/** @type {string} */ one) => all.filter((other) => other === one).length;
  return JSON.parse(all.toSorted((a, b) => countOf(b) - countOf(a))[0] ?? '');
}

/** @param {TableResult} table @param {Circumstances} usual */
function renderTable({ name, title, busy, measured, rows }, usual) {
  const columns = columnsOf(rows);
  const cells = rows.map((row) => columns.map((column) => textOf(row[column])));
  const heads = columns.map((column) => (column === 'than' ? 'ratio to' : column));
  const notes = [
    !columns.includes('than') && `Ratios refer to the row "${rows[0]?.than}".`,
    ...differencesOf(measured, usual),
  ].filter(Boolean);
  return [
    '',
    `## ${name}`,
    '',
    `${title[0]?.toUpperCase()}${title.slice(1)}.${busy ? ' The machine was busy.' : ''}`,
    '',
    ...[heads, heads.map(() => '---'), ...cells].map((line) => `| ${line.join(' | ')} |`),
    '',
    notes.join(' '),
  ];
}

/** @param {Circumstances} measured @param {Circumstances} usual */
function differencesOf({ date, rounds, machine }, usual) {
  const differences = [
    date !== usual.date && `on ${date}`,
    rounds !== usual.rounds && `${rounds} rounds`,
    ...machine.filter((line) => !usual.machine.includes(line)),
  ].filter(Boolean);
  return differences.length === 0 ? [] : [`Measured differently: ${differences.join('; ')}.`];
}

/** Returns the columns without `than` if all rows have the same reference. @param {readonly import('./measure.js').Row[]} rows */
function columnsOf(rows) {
  const isCommon = rows.every(({ than }) => than === rows[0]?.than);
  return Object.keys(rows[0] ?? {}).filter((column) => !isCommon || column !== 'than');
}

/** @param {unknown} value */
const textOf = (value) =>
  typeof value === 'number'
    ? Number(value.toPrecision(4)).toLocaleString('en', { maximumSignificantDigits: 4 })
    : String(value);

/** @param {import('./measure.js').Row} row @returns {import('./measure.js').Row} */
const rounded = (row) =>
  /** @type {any} */ (
    Object.fromEntries(
      Object.entries(row).map(([key, value]) => [
        key,
        typeof value === 'number' ? Number(value.toPrecision(4)) : value,
      ]),
    )
  );
