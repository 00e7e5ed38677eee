import type { DataSource } from 'typeorm';
import * as v from 'valibot';
import { channelDefinitionShape } from '../channels/channel-brand.js';
import { PgPubSubError, describeValue } from '../common/errors.js';
import { anyObject, group, nonEmptyString, parseShape } from '../common/parse.js';
import { extendSchemaBuilder } from '../postgres/schema-builder.js';
import { Database, type WithPgPubSubOptions } from './database.js';

const wrapShape = group({
  channels: v.optional(v.array(channelDefinitionShape)),
  triggers: v.optional(v.array(anyObject, 'a list of declarations')),
  owner: v.optional(nonEmptyString),
  schema: v.optional(nonEmptyString),
  role: v.optional(nonEmptyString),
});

/**
 * Adds the triggers to TypeORM's own commands: `migration:generate` (with `--check`),
 * `migration:run` and `revert`, `schema:log`, `schema:sync`, and `synchronize: true`.
 *
 * ```ts
 * export default withPgPubSub(new DataSource({ type: 'postgres', entities: [Author] }));
 * ```
 *
 * Throws `DATA_SOURCE_UNUSABLE` for other databases. Returns the same DataSource.
 */
export function withPgPubSub<T extends DataSource>(dataSource: T, options: WithPgPubSubOptions = {}): T {
  if (dataSource.options?.type !== 'postgres')
    throw notPostgres(describeValue(dataSource.options?.type ?? dataSource));
  parseShape(wrapShape, options, { code: 'INVALID_TRIGGER', what: 'withPgPubSub()' });
  const database = Database.of(dataSource);
  if (database.wrap(options))
    extendSchemaBuilder(dataSource, {
      log: (readTables) => database.migration(readTables),
      build: (build, read) => database.synchronize({}, { build, read }),
    });
  return dataSource;
}

const notPostgres = (type: string) =>
  new PgPubSubError(
    'DATA_SOURCE_UNUSABLE',
    `withPgPubSub(): expected a DataSource of type "postgres", got ${type}. Leave it as it is: only PostgreSQL notifies.`,
  );
