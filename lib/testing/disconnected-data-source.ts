import { DataSource } from 'typeorm';
import type { EntityClass } from '../channels/entity-change.js';
import { buildMetadata, rejectQueries } from '../postgres/driver.js';
import { noDatabase } from './no-database.js';

/**
 * Returns a DataSource that knows its entities and is never connected: repositories can be
 * injected, and their queries reject with `DATA_SOURCE_UNUSABLE`.
 */
export async function createDisconnectedDataSource(entities: readonly EntityClass[]): Promise<DataSource> {
  const dataSource = new DataSource({ type: 'postgres', entities: [...entities] as EntityClass[] as never }); // abstract ones, too
  await buildMetadata(dataSource);
  rejectQueries(dataSource, () => noDatabase('a query'));
  return dataSource;
}
