import type { WithPgPubSubOptions } from 'nestjs-pgpubsub';
import { useDatabase } from './use-database.js';

/** The payload of a stored change. */
export interface Change {
  readonly operation: string;
  readonly old: Record<string, unknown> | null;
  readonly new: Record<string, unknown> | null;
}

/** A row of the table of notifications, as triggers write it. */
export interface StoredRow {
  readonly id: string;
  readonly channel: string;
  readonly payload: Change;
  readonly context: unknown;
  readonly key: string | null;
  readonly schema_version: string | null;
}

/** A database per test, DataSources on it whose entities are synchronized, and its stored rows. */
export function useStoredRows() {
  const database = useDatabase({ per: 'test' });

  const start = (entities: readonly (abstract new () => unknown)[], options?: WithPgPubSubOptions) =>
    database.connect({ dataSource: { entities: entities as never, synchronize: true }, ...options });

  const stored = (): Promise<StoredRow[]> =>
    database.query<StoredRow & Record<string, unknown>>(
      'select id, channel, payload, context, key, schema_version from pgpubsub_notification order by id',
    );

  return { database, start, stored };
}
