import Table from 'cli-table3';
import { escapeControls } from '../common/log-text.js';

/** Writes a result for programs. */
export const printJson = (value: unknown): void => {
  process.stdout.write(`${JSON.stringify(value, undefined, 2)}\n`);
};

/** Writes one or more lines to stdout, without terminal control characters. */
export const printLine = (text: string): void => {
  process.stdout.write(`${escapeLines(text)}\n`);
};

/** Writes a line to stderr, without terminal control characters. */
export const reportLine = (text: string): void => {
  process.stderr.write(`${escapeLines(text, INDENT)}\n`);
};

/** Writes a message of this program to stderr. */
export const printMessage = (sentence: string): void => reportLine(`pgpubsub: ${sentence}`);

/** Marks further lines of a message, so that they cannot pass for another message. */
const INDENT = '  ';

/** Errors and names come from other roles and programs: only their line ends are kept. */
const escapeLines = (text: string, indent = ''): string =>
  text.split(/\r?\n/).map(escapeControls).join(`\n${indent}`);

/** Writes a result for people: aligned columns, no colours. */
export function printTable(head: readonly string[], rows: readonly (readonly (string | number)[])[]): void {
  const table = new Table({ head: [...head], style: { head: [], border: [], compact: true } });
  for (const row of rows) table.push(row.map((cell) => escapeControls(String(cell))));
  printLine(table.toString());
}
