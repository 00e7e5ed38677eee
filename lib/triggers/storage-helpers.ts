import type { QueryRunner } from 'typeorm';
import { createStorageSteps, dropStorageStatements } from '../schema/storage.diff.js';
import { ownerOf, storageOf } from './with-pg-pubsub.js';

/** Where {@link createNotificationStorage} creates; both are optional. */
export interface NotificationStorageLiterals {
  /** An existing schema; without it, the one of the DataSource that the migration runs on. */
  schema?: string;
  /** As `owner` of {@link withPgPubSub}; without it, that of the DataSource the migration runs on. */
  owner?: string;
}

/**
 * Creates, in a handwritten migration, the tables and functions of stored notifications. A later `migration:generate`
 * finds no difference. Fails when they are there already.
 *
 * no deadline: a part of a migration or of the start, whose locks and duration are the application's
 */
export async function createNotificationStorage(
  runner: QueryRunner,
  { schema, owner }: NotificationStorageLiterals = {},
): Promise<void> {
  const { connection } = runner.manager;
  const storage = storageOf(connection);
  const steps = createStorageSteps(
    { ...storage, schema: schema ?? storage.schema },
    owner ?? ownerOf(connection),
  );
  for (const { up } of steps) if (up !== undefined) await runner.query(up);
}

/**
 * Drops what {@link createNotificationStorage} created, with all notifications that wait in it.
 *
 * no deadline: a part of a migration or of the start, whose locks and duration are the application's
 */
export async function dropNotificationStorage(
  runner: QueryRunner,
  { schema }: Pick<NotificationStorageLiterals, 'schema'> = {},
): Promise<void> {
  const storage = storageOf(runner.manager.connection);
  for (const statement of dropStorageStatements({ ...storage, schema: schema ?? storage.schema }))
    await runner.query(statement);
}
