import Table from 'cli-table3';
import { escapeControls } from '../common/log-text.js';

/** Writes what a command found, for machines. */
export const printJson = (value: unknown): void => {
  process.stdout.write(`${JSON.stringify(value, undefined, 2)}\n`);
};

/** Writes a text of one or more lines to stdout, without characters that command a terminal. */
export const printLine = (text: string): void => {
  process.stdout.write(`${escapeLines(text)}\n`);
};

/** Writes a line to stderr, beside what a command prints, without characters that command a terminal. */
export const reportLine = (text: string): void => {
  process.stderr.write(`${escapeLines(text, INDENT)}\n`);
};

/** Writes a sentence of this program to stderr. */
export const printMessage = (sentence: string): void => reportLine(`pgpubsub: ${sentence}`);

/** Keeps line ends that a message contains from starting what looks like a sentence of this program. */
const INDENT = '  ';

/** Errors and names come from other roles and programs: only line ends are left of their control characters. */
const escapeLines = (text: string, indent = ''): string =>
  text.split(/\r?\n/).map(escapeControls).join(`\n${indent}`);

/** Writes what a command found, for people: columns aligned, no colours. */
export function printTable(head: readonly string[], rows: readonly (readonly (string | number)[])[]): void {
  const table = new Table({ head: [...head], style: { head: [], border: [], compact: true } });
  for (const row of rows) table.push(row.map((cell) => escapeControls(String(cell))));
  printLine(table.toString());
}
