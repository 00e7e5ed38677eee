// @ts-check
import fs from 'node:fs';
import { format, resolveConfig } from 'prettier';
import { judge } from './budgets.js';
import { renderPlot } from './plot.js';
import { tables as order } from './tables.js';

/** @typedef {{ name: string, title: string, busy: boolean, seconds: number, rows: import('./measure.js').Row[] }} TableResult */
/** @typedef {{ machine: readonly string[], rounds: number, tables: readonly TableResult[] }} Results */

/** @param {import('./measure.js').Row[]} rows */
export function printRows(rows) {
  console.table(rows.map(({ name, ...numbers }) => ({ name, ...rounded(numbers) })));
}

/** @param {readonly TableResult[]} tables */
export function printBudgets(tables) {
  const verdicts = judge(tables);
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
 * What the documentation shows: the figures, for people and for programs, and a plot for each table. Tables that were not
 * run stay as they were.
 * @param {Results} results
 */
export async function writeResults({ machine, rounds, tables }) {
  const known = fs.existsSync(RESULTS)
    ? /** @type {Results} */ (JSON.parse(fs.readFileSync(RESULTS, 'utf8'))).tables
    : [];
  const all = Object.keys(order).flatMap((name) => {
    const table = tables.find((of) => of.name === name) ?? known.find((of) => of.name === name);
    return table === undefined ? [] : [roundedTable(table)];
  });
  const results = { machine, rounds, tables: all };
  fs.writeFileSync(RESULTS, `${JSON.stringify(results, undefined, 2)}\n`);
  await writeMarkdown(new URL('results.md', import.meta.url), renderMarkdown(results));
  const plots = new URL('../docs/plots/', import.meta.url);
  fs.mkdirSync(plots, { recursive: true });
  for (const table of all) fs.writeFileSync(new URL(`${table.name}.svg`, plots), renderPlot(table));
}

/** @param {URL} file @param {string} text */
async function writeMarkdown(file, text) {
  const style = await resolveConfig(file);
  fs.writeFileSync(file, await format(text, { ...style, parser: 'markdown' }));
}

/** @param {Results} results */
function renderMarkdown({ machine, rounds, tables }) {
  return [
    '# Results',
    '',
    `Written by \`npm run bench\`: medians of ${rounds} rounds, in which the variants take turns. The ratio is to the best of the`,
    'peers, or to the first row where there is none.',
    '',
    ...machine.map((line) => `- ${line}`),
    '',
    '## Budgets',
    '',
    'What the library has set itself, as ratios to the reference of the table or to the row that is named.',
    '',
    '| table | row | wanted | measured |  |',
    '| --- | --- | --- | --- | --- |',
    ...judge(tables).map(
      ({ table, row, measured, isMet, ...budget }) =>
        `| [${table}](#${table}) | ${row} | ${wantedOf(budget)} | ${textOf(measured)} | ${isMet ? 'met' : '**not met**'} |`,
    ),
    ...tables.flatMap(renderTable),
    '',
  ].join('\n');
}

/** @param {TableResult} table */
function renderTable({ name, title, busy, rows }) {
  const columns = Object.keys(rows[0] ?? {});
  const cells = rows.map((row) => columns.map((column) => textOf(row[column])));
  return [
    '',
    `## ${name}`,
    '',
    `${title[0]?.toUpperCase()}${title.slice(1)}.${busy ? ' The machine was busy.' : ''}`,
    '',
    ...[columns, columns.map(() => '---'), ...cells].map((line) => `| ${line.join(' | ')} |`),
  ];
}

/** @param {unknown} value */
const textOf = (value) =>
  typeof value === 'number'
    ? Number(value.toPrecision(4)).toLocaleString('en', { maximumSignificantDigits: 4 })
    : String(value);

/** @param {TableResult} table */
const roundedTable = (table) => ({
  ...table,
  rows: table.rows.map(({ name, ...numbers }) => ({ name, ...rounded(numbers) })),
});

/** @param {Record<string, number>} numbers */
const rounded = (numbers) =>
  Object.fromEntries(Object.entries(numbers).map(([key, value]) => [key, Number(value.toPrecision(4))]));
