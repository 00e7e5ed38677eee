import type { DataSource } from 'typeorm';
import { PgPubSubError } from '../common/errors.js';
import type { Difference } from '../common/step.js';
import { Database, type DiffOptions } from './database.js';

/** The result of a comparison at start-up. */
export interface Verification {
  /** Differences, without undeclared objects, which another release may need. */
  readonly drift: readonly Difference[];
  /** See {@link DatabaseDiff.warnings}. */
  readonly warnings: readonly string[];
}

/** Compares the database with the declared triggers, and with the storage that they need. */
export async function verifySchema(dataSource: DataSource, options: DiffOptions = {}): Promise<Verification> {
  const { differences, warnings } = await Database.of(dataSource).diff(options);
  return { drift: differences.filter(({ kind }) => kind !== 'obsolete'), warnings };
}

/** Describes a difference: `missing: trigger … on …`. */
export const describeDifference = ({ kind, object }: Difference): string => `${kind}: ${object}`;

/** The remedy for differences that no migration repairs. */
export const UNDO =
  'Undo what was changed by hand ("pgpubsub migrate --sql" prints the storage as it was created), or create the storage again.';

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

/** The error for the storage of channels that the DataSource, and so a migration, does not know. */
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
