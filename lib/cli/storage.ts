import type { DataSource } from 'typeorm';
import { ChannelRegistry } from '../channels/channel.registry.js';
import { NOTIFICATION_TABLE, notificationTable } from '../storage/storage.sql.js';
import type { StoredConditionsOptions } from '../store/stored-conditions.js';
import { Database } from '../triggers/database.js';
import { CommandFailure, EXIT } from './command-failure.js';
import { tableExists } from './storage.sql.js';

/** Whether the tables of stored notifications exist in the schema of this DataSource. */
export async function hasStorage(dataSource: DataSource): Promise<boolean> {
  const name = notificationTable(Database.of(dataSource).storage.schema);
  // no deadline: a command, which a person runs and ends
  const [row] = await dataSource.query<{ found: boolean }[]>(tableExists, [name]); // as the statement says
  return row?.found ?? false;
}

export async function assertStorage(dataSource: DataSource): Promise<void> {
  if (await hasStorage(dataSource)) return;
  throw new CommandFailure(
    `the schema "${Database.of(dataSource).storage.schema}" has no table "${NOTIFICATION_TABLE}", so no notifications are stored. ` +
      'Pass the exactly-once channels, and the schema if it is another, to withPgPubSub(dataSource, { channels, schema }); ' +
      'then run "typeorm migration:generate" and "typeorm migration:run".',
    EXIT.failed,
  );
}

/** Returns options for reading and repairing stored notifications of channels by name. */
export const storedOptions = (dataSource: DataSource): StoredConditionsOptions => {
  const registry = new ChannelRegistry();
  return {
    dataSource,
    storage: () => Database.of(dataSource).storage,
    nameOf: (channel) => registry.resolve(channel).name,
  };
};
