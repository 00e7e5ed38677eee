import type { DataSource } from 'typeorm';
import type { ChannelLike } from '../channels/channel.registry.js';
import { PgPubSubError } from '../common/errors.js';
import type { ReportEvent } from '../common/events.js';
import { quoteQualified } from '../common/sql-identifier.js';
import type { Storage } from '../storage/storage.sql.js';
import type { ListenersOf } from './live-listeners.js';
import {
  conditionsOf,
  resolveFilter,
  type Conditions,
  type ResolvedFilter,
  type StoredFilter,
} from './stored-filter.js';
import { executedMigrations, hasMigrations } from './stored.sql.js';

export interface StoredConditionsOptions {
  readonly dataSource: DataSource;
  readonly storage: () => Storage;
  readonly nameOf: (channel: ChannelLike) => string;
  /** The listeners of this application; without it, only those that processes report count. */
  readonly listenersOf?: ListenersOf;
  readonly report?: ReportEvent;
}

const NONE: Conditions = { sql: '', parameters: [] };

/**
 * Turns filters into SQL conditions on a row `n`; `first` is the number of their first parameter.
 * Reads the executed migrations if a filter names one. Holds nothing.
 *
 * no deadline: a call of the application, limited by the options of its DataSource
 */
export class StoredConditions {
  constructor(private readonly options: StoredConditionsOptions) {}

  /** Conditions on pending notifications. */
  async ofPending(filter: StoredFilter, method: string, first: number): Promise<Conditions> {
    const resolved = await this.resolve(filter, method);
    const waits = `not $${first} = any(n.handled_by) and (n.listeners is null or $${first} = any(n.listeners))`;
    return conditionsOf(resolved, ownOf(resolved, waits), first);
  }

  /** Conditions on dead letters. */
  async ofDead(filter: StoredFilter, method: string, first: number): Promise<Conditions> {
    const resolved = await this.resolve(filter, method);
    return conditionsOf(resolved, ownOf(resolved, `n.listener = $${first}`), first);
  }

  private async resolve(filter: StoredFilter, method: string): Promise<ResolvedFilter> {
    const resolved = resolveFilter(filter, method, this.options.nameOf);
    if (filter.beforeMigration === undefined) return resolved;
    const versions = await this.versionsBefore(filter.beforeMigration);
    return versions === undefined ? resolved : { ...resolved, versions };
  }

  /**
   * The migrations executed before this one; `undefined` (all of them) if it has not been executed.
   * Rejects with `INVALID_ARGUMENT` for an unknown name.
   */
  private async versionsBefore(name: string): Promise<readonly string[] | undefined> {
    const executed = await this.executed();
    if (executed.includes(name)) return executed.slice(0, executed.indexOf(name));
    const known = this.options.dataSource.migrations.map(
      (migration) => migration.name ?? migration.constructor.name,
    );
    if (!known.includes(name)) throw unknownMigration(name, [...executed, ...known]);
    return undefined;
  }

  private async executed(): Promise<string[]> {
    const storage = this.options.storage();
    const { manager } = this.options.dataSource;
    const table = quoteQualified(storage.migrationsSchema, storage.migrationsTable);
    const [found] = await manager.query<{ found: boolean }[]>(hasMigrations, [table]);
    if (!found?.found) return [];
    const rows = await manager.query<{ name: string }[]>(executedMigrations(storage));
    return rows.map(({ name }) => name);
  }
}

const ownOf = ({ listener }: ResolvedFilter, sql: string): Conditions =>
  listener === undefined ? NONE : { sql, parameters: [listener] };

const unknownMigration = (name: string, known: readonly string[]) =>
  new PgPubSubError(
    'INVALID_ARGUMENT',
    `expected "beforeMigration" to be the name of a migration (${[...new Set(known)].slice(-5).join(', ') || 'there are none'}), got "${name}". ` +
      'Use a name of the migrations table.',
  );
