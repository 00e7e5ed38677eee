import type { Command } from 'commander';
import type { DataSource } from 'typeorm';
import { Database } from '../triggers/database.js';
import { remedyFor } from '../triggers/schema.verifier.js';
import { withLockTimeout } from './lock-timeout.js';
import { EXIT, type ExitCode } from './command-failure.js';
import { addDataSourceOption, withDataSource } from './data-source.loader.js';
import { printJson, printLine, printTable } from './terminal.js';

interface CheckOptions {
  readonly dataSource: string;
  readonly json?: true;
}

/** `pgpubsub check`: compares the declarations with the database. Changes nothing. */
export function checkCommand(program: Command, end: (code: ExitCode) => void): void {
  addDataSourceOption(program.command('check'))
    .description('compares declared triggers and tables with the database; changes nothing')
    .option('--json', 'print JSON')
    .action(async ({ dataSource, json }: CheckOptions) => {
      end(await withDataSource(dataSource, (connected) => check(connected, json === true)));
    });
}

async function check(dataSource: DataSource, asJson: boolean): Promise<ExitCode> {
  const { differences, warnings } = await withLockTimeout(dataSource, (runner) =>
    Database.of(dataSource).diff({}, runner),
  );
  if (asJson) printJson({ differences: differences.map(({ kind, object }) => ({ kind, object })), warnings });
  else if (differences.length === 0) printLine('The database matches the declarations of the DataSource.');
  else {
    printTable(
      ['difference', 'object'],
      differences.map(({ kind, object }) => [kind, object]),
    );
    printLine(remedyFor(dataSource, differences));
  }
  if (!asJson) for (const warning of warnings) printLine(`Warning: ${warning}`);
  return differences.length === 0 ? EXIT.good : EXIT.failed;
}
