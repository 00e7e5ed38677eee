import type { DataSource } from 'typeorm';
import type { ChannelRegistry } from './channels/channel.registry.js';
import { PgPubSubError } from './common/errors.js';
import type { Report } from './common/facts.js';
import type { ResolvedOptions } from './common/options.js';
import { assertUsable } from './connection/listen-config.js';
import { guardPools } from './postgres/pool-guard.js';
import type { Difference } from './common/step.js';
import { EntityChannels } from './triggers/entity-channels.js';
import { schemaDrifted, storageMissing, verifySchema } from './triggers/schema.verifier.js';
import { Database, type DiffOptions } from './triggers/database.js';

/** What is done about the database before anything of an instance runs. */
export interface Preparation {
  /** Can it be done now? A DataSource may be initialized by the application, later. */
  readonly isPossible: boolean;
  /** Throws `DATA_SOURCE_UNUSABLE` when it is not possible at the end of the start. */
  assertPossible(): void;
  /** Entities become channels, once it is sure that their triggers are there. */
  prepareEntities(): Promise<void>;
  /** For channels that store, and that the DataSource may know nothing of. */
  prepareStorage(): Promise<void>;
}

export interface PreparationOptions {
  readonly options: ResolvedOptions;
  readonly dataSource: DataSource;
  readonly registry: ChannelRegistry;
  readonly report: Report;
}

/** Compares the database with what is declared, or creates it, as `verifySchema` and `synchronize` say. */
export class DatabasePreparation implements Preparation {
  constructor(private readonly parts: PreparationOptions) {
    const { dataSource } = parts;
    if (dataSource.options.type === 'postgres') guardPools(dataSource);
  }

  get isPossible(): boolean {
    return this.parts.dataSource.isInitialized;
  }

  assertPossible(): void {
    assertUsable(this.parts.dataSource);
  }

  async prepareEntities(): Promise<void> {
    const { dataSource, registry } = this.parts;
    if (dataSource.options.type !== 'postgres') return;
    const { triggers } = Database.of(dataSource);
    if (triggers.length === 0) return;
    await this.prepareSchema({});
    registry.useEntities(await EntityChannels.load(dataSource, triggers));
  }

  async prepareStorage(): Promise<void> {
    const { dataSource, registry } = this.parts;
    const stored = registry.definitions.filter(({ delivery }) => delivery === 'exactly-once');
    if (stored.length === 0 || Database.of(dataSource).needsStorage) return;
    const names = stored.map(({ name }) => name);
    await this.prepareSchema({ needsStorage: true }, (drift) => storageMissing(names, drift));
  }

  private async prepareSchema(
    needs: DiffOptions,
    drifted = (drift: readonly Difference[]): PgPubSubError => schemaDrifted(this.parts.dataSource, drift),
  ): Promise<void> {
    const { dataSource, options, report } = this.parts;
    if (options.synchronize) await Database.of(dataSource).synchronize(needs);
    if (options.verifySchema === false) return;
    const { drift, warnings } = await verifySchema(dataSource, needs);
    for (const warning of warnings) report({ type: 'schema-warned', warning });
    if (options.synchronize || drift.length === 0) return;
    if (options.verifySchema === 'error') throw drifted(drift);
    report({ type: 'drifted', error: drifted(drift) });
  }
}
