import path from 'node:path';
import type { Command } from 'commander';
import type { DataSource } from 'typeorm';
import { CommandUtils } from 'typeorm/commands/CommandUtils.js';
import { messageOf } from '../common/errors.js';
import { CommandFailure, EXIT, wrongUsage } from './command-failure.js';

/** The option of every command that looks into a database. */
export const addDataSourceOption = (command: Command): Command =>
  command.requiredOption(
    '-d, --data-source <file>',
    'built file that exports the DataSource, as for the commands of TypeORM',
  );

/**
 * Runs the work on the DataSource that a file exports, which TypeORM's own loader finds as it does for its commands.
 * Nothing is created, dropped or migrated by connecting.
 */
export async function withDataSource<T>(
  file: string,
  work: (dataSource: DataSource) => Promise<T>,
): Promise<T> {
  const dataSource = await loadDataSource(file);
  dataSource.setOptions({ synchronize: false, migrationsRun: false, dropSchema: false, logging: false });
  try {
    await dataSource.initialize();
  } catch (cause) {
    throw new CommandFailure(
      `expected to connect with the DataSource of ${file}, got: ${messageOf(cause)}`,
      EXIT.failed,
      { cause },
    );
  }
  try {
    return await work(dataSource);
  } finally {
    await dataSource.destroy();
  }
}

async function loadDataSource(file: string): Promise<DataSource> {
  const dataSource = await load(file);
  if (dataSource.options.type !== 'postgres')
    throw wrongUsage(`expected a DataSource of type "postgres" in ${file}, got "${dataSource.options.type}"`);
  return dataSource;
}

async function load(file: string): Promise<DataSource> {
  try {
    return await CommandUtils.loadDataSource(path.resolve(file));
  } catch (cause) {
    throw wrongUsage(
      `expected ${file} to export one DataSource, got: ${messageOf(cause).trim().replace(/\.$/, '')}. ` +
        'Build the application, and name the file as in "-d dist/data-source.js".',
      { cause },
    );
  }
}
