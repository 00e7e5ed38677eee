import type { Command } from 'commander';
import type { DataSource } from 'typeorm';
import { diffTriggers, isWrapped } from '../triggers/with-pg-pubsub.js';
import { briefly } from './brief.js';
import { EXIT, type ExitCode } from './command-failure.js';
import { addDataSourceOption, withDataSource } from './data-source.loader.js';
import { printJson, printLine, printTable } from './terminal.js';

interface CheckOptions {
  readonly dataSource: string;
  readonly json?: true;
}

/** `pgpubsub check`: how the database differs from what the DataSource declares. Changes nothing. */
export function checkCommand(program: Command, end: (code: ExitCode) => void): void {
  addDataSourceOption(program.command('check'))
    .description('compares declared triggers and tables with the database, and changes nothing')
    .option('--json', 'print JSON, for machines')
    .action(async ({ dataSource, json }: CheckOptions) => {
      end(await withDataSource(dataSource, (connected) => check(connected, json === true)));
    });
}

async function check(dataSource: DataSource, asJson: boolean): Promise<ExitCode> {
  const { differences } = await briefly(dataSource, (runner) => diffTriggers(dataSource, {}, runner));
  if (asJson) printJson({ differences });
  else if (differences.length === 0) printLine('The database is as the DataSource declares it.');
  else {
    printTable(
      ['difference', 'object'],
      differences.map(({ kind, object }) => [kind, object]),
    );
    printLine(wayOut(dataSource));
  }
  return differences.length === 0 ? EXIT.good : EXIT.failed;
}

/** What makes the database as it is declared. */
export const wayOut = (dataSource: DataSource): string =>
  isWrapped(dataSource)
    ? 'Run "typeorm migration:run", after "typeorm migration:generate" where no migration has them yet.'
    : 'Wrap the DataSource in withPgPubSub(), then run "typeorm migration:generate" and "typeorm migration:run".';
