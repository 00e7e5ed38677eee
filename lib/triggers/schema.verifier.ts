import type { DataSource } from 'typeorm';
import { PgPubSubError } from '../common/errors.js';
import type { Difference } from '../storage/step.js';
import { Database, type DiffOptions } from './database.js';

/**
 * How the database differs from the declared triggers, and from the storage they need. Objects that are not declared any more are
 * left out: another release may need them.
 */
export async function findDrift(
  dataSource: DataSource,
  options: DiffOptions = {},
): Promise<readonly Difference[]> {
  const { differences } = await Database.of(dataSource).diff(options);
  return differences.filter(({ kind }) => kind !== 'obsolete');
}

/** A difference in words: `missing: trigger … on …`. */
export const describeDifference = ({ kind, object }: Difference): string => `${kind}: ${object}`;

/** The remedy for what no migration repairs. */
export const UNDO =
  'Undo what was changed by hand ("pgpubsub migrate --sql" prints the storage as it was created), or create the storage again.';

/** The remedy for differences. */
export function remedyFor(dataSource: DataSource, differences: readonly Difference[]): string {
  const run = Database.of(dataSource).isWrapped
    ? 'Run "typeorm migration:run", after "typeorm migration:generate" where no migration has them yet'
    : 'Wrap the DataSource in withPgPubSub(), then run "typeorm migration:generate" and "typeorm migration:run"';
  const repaired = differences.some(({ byHand }) => byHand !== true);
  const remedies = [
    repaired && `${run}; or start with forRoot({ synchronize: true }), in development.`,
    differences.some(({ byHand }) => byHand) && UNDO,
  ];
  return remedies.filter((remedy) => remedy !== false).join(' ');
}

/** For the storage of channels that the DataSource does not know: no migration would have it. */
export const storageMissing = (channels: readonly string[], drift: readonly Difference[]) =>
  new PgPubSubError(
    'SCHEMA_DRIFTED',
    `expected the database to store the notifications of ${channels.map((name) => `"${name}"`).join(', ')}, got ${drift.map(describeDifference).join('; ')}. ` +
      (drift.every(({ byHand }) => byHand)
        ? UNDO
        : 'Give the exactly-once channels to withPgPubSub(dataSource, { channels }), then run "typeorm migration:generate" and ' +
          '"typeorm migration:run"; or start with forRoot({ synchronize: true }), in development.'),
  );

export const schemaDrifted = (dataSource: DataSource, drift: readonly Difference[]): PgPubSubError =>
  new PgPubSubError(
    'SCHEMA_DRIFTED',
    `expected the database to have the triggers that @NotifyChanges() declares, got ${drift.map(describeDifference).join('; ')}. ` +
      remedyFor(dataSource, drift),
  );
