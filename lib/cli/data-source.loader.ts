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
      `expected to connect with the DataSource of ${file}, got: ${messageOf(cause)}. ` +
        'Check the address and the credentials, and that the server runs.',
      EXIT.failed,
      { cause },
    );
  }
  try {
    return await work(dataSource);
  } catch (error) {
    throw refusalOf(file, error) ?? error;
  } finally {
    await dataSource.destroy();
  }
}

/** What else the server may refuse is an error of ours, or of the database: its own words say more. */
function refusalOf(file: string, error: unknown): CommandFailure | undefined {
  const code = error instanceof Error && 'code' in error ? error.code : undefined;
  const refused = (expected: string, way: string) =>
    new CommandFailure(`expected ${expected}, got: ${messageOf(error)}. ${way}`, EXIT.failed, {
      cause: error,
    });
  if (code === INSUFFICIENT_PRIVILEGE)
    return refused(
      `the role of the DataSource of ${file} to be allowed to do this`,
      'Give it the right, or name a DataSource of a role that has it, such as the owner of the tables.',
    );
  if (code === LOCK_NOT_AVAILABLE)
    return refused(
      'to get a lock within two seconds',
      'A migration or another long transaction holds it: let it end, or find it with "pgpubsub doctor".',
    );
  return undefined;
}

const INSUFFICIENT_PRIVILEGE = '42501';
const LOCK_NOT_AVAILABLE = '55P03';

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
      `expected ${file} to export one DataSource, got: ${reasonOf(cause)}. ` +
        'Name the built file that TypeORM\'s commands take, as in "-d dist/data-source.js".',
      { cause },
    );
  }
}

/** The message, without which file of TypeORM has tried to import it. */
const reasonOf = (error: unknown): string =>
  messageOf(error)
    .trim()
    .replace(/ imported from \S+ImportUtils\.js/, '')
    .replace(/\.$/, '');
