import type { DataSource } from 'typeorm';
import { ChannelRegistry } from '../channels/channel.registry.js';
import { NOTIFICATION_TABLE, notificationTable } from '../storage/storage.sql.js';
import type { StoredConditionsOptions } from '../store/stored-conditions.js';
import { Database } from '../triggers/database.js';
import { CommandFailure, EXIT } from './command-failure.js';
import { tableExists } from './storage.sql.js';

/** Are the tables of stored notifications where this DataSource has them? */
export async function hasStorage(dataSource: DataSource): Promise<boolean> {
  const name = notificationTable(Database.of(dataSource).storage.schema);
  // no deadline: a command, which a person runs and ends
  const [row] = await dataSource.query<{ found: boolean }[]>(tableExists, [name]); // as the statement says
  return row?.found ?? false;
}

/** Throws a sentence when nothing can be stored in this database. */
export async function assertStorage(dataSource: DataSource): Promise<void> {
  if (await hasStorage(dataSource)) return;
  throw new CommandFailure(
    `expected the table "${NOTIFICATION_TABLE}" in the schema "${Database.of(dataSource).storage.schema}", got none: nothing is stored here. ` +
      'Give the exactly-once channels, and the schema if it is another, to withPgPubSub(dataSource, { channels, schema }); ' +
      'then run "typeorm migration:generate" and "typeorm migration:run".',
    EXIT.failed,
  );
}

/** What reads and repairs what is stored, for channels by their names. */
export const storedOptions = (dataSource: DataSource): StoredConditionsOptions => {
  const registry = new ChannelRegistry();
  return {
    dataSource,
    storage: () => Database.of(dataSource).storage,
    nameOf: (channel) => registry.resolve(channel).name,
  };
};
