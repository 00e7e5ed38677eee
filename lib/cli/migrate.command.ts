import type { Command } from 'commander';
import type { DataSource } from 'typeorm';
import { migrationSql, readStorage } from '../storage/state.js';
import { Database } from '../triggers/database.js';
import { withLockTimeout } from './lock-timeout.js';
import { CommandFailure, EXIT, type ExitCode } from './command-failure.js';
import { addDataSourceOption, withDataSource } from './data-source.loader.js';
import { printLine } from './terminal.js';

interface MigrateOptions {
  readonly dataSource: string;
  readonly sql?: true;
}

/** `pgpubsub migrate --sql`: prints the SQL of the storage for a DBA to run. Changes nothing. */
export function migrateCommand(program: Command, end: (code: ExitCode) => void): void {
  addDataSourceOption(program.command('migrate'))
    .description('prints the SQL that creates the storage, or upgrades it to the version of this library')
    .option('--sql', 'print the SQL; nothing is executed')
    .action(async ({ dataSource, sql }: MigrateOptions) => {
      if (!sql) throw notExecuted();
      end(await withDataSource(dataSource, printSql));
    });
}

/** Prints the complete SQL of a storage that is up to date, for comparison. */
async function printSql(dataSource: DataSource): Promise<ExitCode> {
  const { owner, storage } = Database.of(dataSource);
  const state = await withLockTimeout(dataSource, (runner) => readStorage(runner, storage));
  for (const statement of migrationSql(state, owner)) printLine(`${statement};\n`);
  return EXIT.good;
}

const notExecuted = () =>
  new CommandFailure(
    'migrate requires --sql, which prints the SQL of the storage. Run that SQL with psql, or use "typeorm migration:run".',
    EXIT.usage,
  );
