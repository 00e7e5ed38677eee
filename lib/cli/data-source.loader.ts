import fs from 'node:fs';
import { createRequire } from 'node:module';
import path from 'node:path';
import type { Command } from 'commander';
import type { DataSource } from 'typeorm';
import { CommandUtils } from 'typeorm/commands/CommandUtils.js';
import { importOrRequireFile } from 'typeorm/util/ImportUtils.js';
import { SEVERAL_HOSTS, hasSeveralHosts } from '../common/connection-url.js';
import { messageOf } from '../common/errors.js';
import { CommandFailure, EXIT, wrongUsage } from './command-failure.js';
import { messageWithout, reasonOf } from './load-reason.js';
import { addPreloadOptions } from './preload.js';
import { prepareTypeScript } from './typescript.loader.js';

/** Adds the options of the commands that read a database. */
export const addDataSourceOption = (command: Command): Command =>
  addPreloadOptions(
    command.requiredOption(
      '-d, --data-source <file>',
      "file that exports the DataSource, as for TypeORM's commands",
    ),
  );

/**
 * Runs `work` on the DataSource that a file exports, which TypeORM's loader finds as for its own
 * commands. Connecting creates, drops and migrates nothing.
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
      `could not connect with the DataSource of ${file}: ${messageOf(cause)}. ` +
        `Check the address and the credentials, and that the server runs. ${ENVIRONMENT_HINT}`,
      EXIT.failed,
      { cause },
    );
  }
  try {
    return await work(dataSource);
  } catch (error) {
    throw explain(file, error) ?? error;
  } finally {
    await dataSource.destroy();
  }
}

/** Adds a remedy to errors about missing rights and locks; `undefined` for other errors. */
function explain(file: string, error: unknown): CommandFailure | undefined {
  const code = error instanceof Error && 'code' in error ? error.code : undefined;
  const rejected = (problem: string, remedy: string) =>
    new CommandFailure(`${problem}: ${messageOf(error)}. ${remedy}`, EXIT.failed, { cause: error });
  if (code === INSUFFICIENT_PRIVILEGE)
    return rejected(
      `the role of the DataSource of ${file} lacks a right`,
      'Grant the right, or name a DataSource whose role has it, such as the owner of the tables.',
    );
  if (code === LOCK_NOT_AVAILABLE)
    return rejected(
      'could not get a lock within two seconds',
      'A migration or another long transaction holds the lock: wait for its end, or find it with "pgpubsub doctor".',
    );
  return undefined;
}

const INSUFFICIENT_PRIVILEGE = '42501';
const LOCK_NOT_AVAILABLE = '55P03';

async function loadDataSource(file: string): Promise<DataSource> {
  await prepareTypeScript(file);
  if (fs.existsSync(file)) await load(file);
  const dataSource = await findDataSource(file);
  const { options } = dataSource;
  if (options.type !== 'postgres')
    throw wrongUsage(`expected a DataSource of type "postgres" in ${file}, got "${options.type}"`);
  const url = options.replication?.master.url ?? options.url;
  if (url !== undefined && hasSeveralHosts(url))
    throw wrongUsage(`expected the DataSource of ${file} to have a URL with one host, got ${SEVERAL_HOSTS}.`);
  return dataSource;
}

/** Imports the file before TypeORM does, to tell errors of the application's code apart. */
async function load(file: string): Promise<void> {
  try {
    await importOrRequireFile(path.resolve(file));
  } catch (cause) {
    throw wrongUsage(`could not load ${file}: ${reasonOf(cause, IMPORTER)}. ${ENVIRONMENT_HINT}`, {
      cause,
    });
  }
}

/** Uses TypeORM's loader, which also reports a file that does not exist. */
async function findDataSource(file: string): Promise<DataSource> {
  try {
    return await CommandUtils.loadDataSource(path.resolve(file));
  } catch (cause) {
    throw wrongUsage(
      `expected ${file} to export one DataSource, got: ${messageWithout(IMPORTER, cause)}. ` +
        'Name the built file that TypeORM\'s commands take, as in "-d dist/data-source.js".',
      { cause },
    );
  }
}

const ENVIRONMENT_HINT =
  'If environment variables are missing, pass "--env-file .env": .env is not read automatically.';

/** The file of TypeORM that imports, whose name is removed from messages. */
const IMPORTER = createRequire(import.meta.url).resolve('typeorm/util/ImportUtils.js');
