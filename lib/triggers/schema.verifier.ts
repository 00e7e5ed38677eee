import type { DataSource } from 'typeorm';
import { PgPubSubError } from '../common/errors.js';
import { diffTriggers, isWrapped, type DiffOptions } from './with-pg-pubsub.js';

/**
 * What the database lacks of the declared triggers, and of where they store, in words: `missing: trigger … on …`. What it has too much is not
 * told here: it may be another release's.
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
