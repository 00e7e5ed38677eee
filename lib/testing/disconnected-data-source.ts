import { DataSource } from 'typeorm';
import type { EntityClass } from '../channels/entity-change.js';
import { noDatabase } from './no-database.js';

/** What `initialize()` does once it is connected; protected in TypeORM's declarations. */
interface Metadatas {
  buildMetadatas(): Promise<void>;
}

/**
 * A DataSource that knows its entities and is never connected: repositories can be injected, and whatever they would ask the
 * database is an error that says so.
 */
export async function createDisconnectedDataSource(entities: readonly EntityClass[]): Promise<DataSource> {
  const dataSource = new DataSource({ type: 'postgres', entities: [...entities] as EntityClass[] as never }); // abstract ones, too
  await (dataSource as unknown as Metadatas).buildMetadatas();
  dataSource.createQueryRunner = () => {
    throw noDatabase('a query');
  };
  dataSource.query = () => Promise.reject(noDatabase('a query'));
  return dataSource;
}
