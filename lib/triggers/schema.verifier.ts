import type { DataSource } from 'typeorm';
import { PgPubSubError } from '../common/errors.js';
import { diffTriggers, isWrapped, type DiffOptions } from './with-pg-pubsub.js';

/**
 * What the database lacks of the declared triggers, and of where they store, in words: `missing: trigger … on …`. What
 * it has too much is not told here: it may be another release's.
 */
export async function findDrift(
  dataSource: DataSource,
  options: DiffOptions = {},
): Promise<readonly string[]> {
  const { differences } = await diffTriggers(dataSource, options);
  return differences
    .filter(({ kind }) => kind !== 'obsolete')
    .map(({ kind, object }) => `${kind}: ${object}`);
}

/** Of the storage of channels that the DataSource does not know of: no migration would have it. */
export const storageMissing = (channels: readonly string[], drift: readonly string[]) =>
  new PgPubSubError(
    'SCHEMA_DRIFTED',
    `expected the database to store the notifications of ${channels.map((name) => `"${name}"`).join(', ')}, got ${drift.join('; ')}. ` +
      'Give the exactly-once channels to withPgPubSub(dataSource, { channels }), then run "typeorm migration:generate" and ' +
      '"typeorm migration:run"; or start with forRoot({ synchronize: true }), in development.',
  );

export function schemaDrifted(dataSource: DataSource, drift: readonly string[]): PgPubSubError {
  const run = isWrapped(dataSource)
    ? 'Run "typeorm migration:run", after "typeorm migration:generate" where no migration has them yet'
    : 'Wrap the DataSource in withPgPubSub(), then run "typeorm migration:generate" and "typeorm migration:run"';
  return new PgPubSubError(
    'SCHEMA_DRIFTED',
    `expected the database to have the triggers that @NotifyChanges() declares, got ${drift.join('; ')}. ` +
      `${run}; or start with forRoot({ synchronize: true }), in development.`,
  );
}
