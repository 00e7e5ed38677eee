import type { DataSource } from 'typeorm';
import type { ChannelDefinition } from '../channels/channel.definition.js';
import type { PgPubSubError } from '../common/errors.js';
import type { ReportEvent } from '../common/events.js';
import type { ResolvedOptions } from '../common/options.js';
import type { Difference } from '../common/step.js';
import { Database, type DiffOptions } from '../triggers/database.js';
import { schemaDrifted, storageMissing, verifySchema } from '../triggers/schema.verifier.js';

export interface SchemaReadinessOptions extends Pick<ResolvedOptions, 'synchronize' | 'verifySchema'> {
  readonly dataSource: DataSource;
  readonly report: ReportEvent;
}

/**
 * Creates or compares the declared triggers, by the options `synchronize` and `verifySchema`.
 * Rejects with `SCHEMA_DRIFTED` if they differ and `verifySchema` is `'error'`.
 */
export async function assertTriggers(options: SchemaReadinessOptions): Promise<void> {
  const { dataSource } = options;
  if (Database.of(dataSource).triggers.length === 0) return;
  await assertSchema(options, {}, (drift) => schemaDrifted(dataSource, drift));
}

/** Does the same for the tables of exactly-once channels that the DataSource may not declare. */
export async function assertStorage(
  options: SchemaReadinessOptions,
  definitions: readonly ChannelDefinition[],
): Promise<void> {
  const names = definitions.filter(({ delivery }) => delivery === 'exactly-once').map(({ name }) => name);
  if (names.length === 0 || Database.of(options.dataSource).needsStorage) return;
  await assertSchema(options, { needsStorage: true }, (drift) => storageMissing(names, drift));
}

async function assertSchema(
  { dataSource, synchronize, verifySchema: verify, report }: SchemaReadinessOptions,
  needs: DiffOptions,
  drifted: (drift: readonly Difference[]) => PgPubSubError,
): Promise<void> {
  if (synchronize) await Database.of(dataSource).synchronize(needs);
  if (verify === false) return;
  const { drift, warnings } = await verifySchema(dataSource, needs);
  for (const warning of warnings) report({ type: 'schema-warned', warning });
  if (synchronize || drift.length === 0) return;
  if (verify === 'error') throw drifted(drift);
  report({ type: 'drifted', error: drifted(drift) });
}
