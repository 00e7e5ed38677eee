import Table from 'cli-table3';

/** Writes what a command found, for machines. */
export const printJson = (value: unknown): void => {
  process.stdout.write(`${JSON.stringify(value, undefined, 2)}\n`);
};

/** Errors and queries are others' texts: what would move the cursor or colour the terminal is shown as a `�`. */
export const printLine = (line: string): void => {
  process.stdout.write(`${line.replaceAll(/[^\P{Cc}\n]/gu, '\ufffd')}\n`);
};

/** Writes what a command found, for people: columns aligned, no colours. */
export function printTable(head: readonly string[], rows: readonly (readonly (string | number)[])[]): void {
  const table = new Table({ head: [...head], style: { head: [], border: [], compact: true } });
  for (const row of rows) table.push(row.map((cell) => String(cell).replaceAll(/\p{Cc}/gu, '\ufffd')));
  printLine(table.toString());
}
