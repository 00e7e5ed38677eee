import type { QueryRunner } from 'typeorm';
import * as v from 'valibot';
import { PgPubSubError } from '../common/errors.js';
import { group, nonEmptyString, parseShape } from '../common/parse.js';
import { createSteps, dropStatements, readStorage } from '../storage/state.js';
import { VERSIONS } from '../storage/versions.js';
import { Database } from './database.js';
import { executeStep } from './execute-steps.js';

/** The place of the storage that {@link createNotificationStorage} creates; all are optional. */
export interface NotificationStorageLiterals {
  /** An existing schema; defaults to that of the migration's DataSource. */
  schema?: string;
  /** The `owner` as in {@link withPgPubSub}; defaults to that of the migration's DataSource. */
  owner?: string;
  /**
   * The version of the storage. Name it so that the migration does not change with the library; a
   * later `migration:generate` contains the upgrade to the newest version.
   *
   * @defaultValue the newest version of the library
   */
  version?: number;
}

const storageShape = group({
  schema: v.optional(nonEmptyString),
  owner: v.optional(nonEmptyString),
  version: v.optional(
    v.pipe(
      v.number(),
      v.check(
        (number) => VERSIONS.some((version) => version.number === number),
        'a version of the storage that this library knows',
      ),
    ),
  ),
});

/**
 * Creates the tables and functions of stored notifications in a handwritten migration. A later
 * `migration:generate` finds no difference. Throws `INVALID_TRIGGER` when they exist already.
 *
 * no deadline: a part of a migration or of the start, whose limits are the application's
 */
export async function createNotificationStorage(
  runner: QueryRunner,
  literals: NotificationStorageLiterals = {},
): Promise<void> {
  const what = 'createNotificationStorage()';
  const { schema, owner, version } = parseShape(storageShape, literals, { code: 'INVALID_TRIGGER', what });
  const database = Database.of(runner.manager.connection);
  const storage = { ...database.storage, ...(schema !== undefined && { schema }) };
  const { place, exists } = await readStorage(runner, storage);
  if (exists) throw alreadyThere(storage.schema);
  for (const step of createSteps(place, owner ?? database.owner, version)) await executeStep(runner, step);
}

/**
 * Drops what {@link createNotificationStorage} created, including all notifications in it. Throws
 * `INVALID_TRIGGER` while triggers of another owner use it.
 *
 * no deadline: a part of a migration or of the start, whose limits are the application's
 */
export async function dropNotificationStorage(
  runner: QueryRunner,
  { schema }: Pick<NotificationStorageLiterals, 'schema'> = {},
): Promise<void> {
  const { storage } = Database.of(runner.manager.connection);
  const statements = await dropStatements(runner, { ...storage, ...(schema !== undefined && { schema }) });
  for (const statement of statements) await runner.query(statement);
}

const alreadyThere = (schema: string) =>
  new PgPubSubError(
    'INVALID_TRIGGER',
    `createNotificationStorage(): expected the schema "${schema}" to have no storage of notifications, got one. ` +
      'Leave the call out, or create it in another "schema".',
  );
