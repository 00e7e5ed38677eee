import type { DataSource } from 'typeorm';
import { ListenConnection, type ListenConnectionOptions } from '../connection/listen-connection.js';
import { createStatements, type Statements } from '../publishing/statements.js';
import { Database } from '../triggers/database.js';
import { EntityChannels } from '../triggers/entity-channels.js';

/** The connection that receives, as the other parts see it. */
export type TransportConnection = Pick<ListenConnection, keyof ListenConnection>;

/** The way of notifications out of an instance and into it. `nestjs-pgpubsub/testing` has one without a database. */
export interface Transport {
  /** Whether there is a database: without one nothing is compared with it, and nothing stored is claimed. */
  readonly hasDatabase: boolean;
  createConnection(options: ListenConnectionOptions): TransportConnection;
  createStatements(schema: () => string): Statements;
  /** The channels of the DataSource's entities; `undefined` when it has none. */
  loadEntities(dataSource: DataSource): Promise<EntityChannels | undefined>;
}

export const postgresTransport: Transport = {
  hasDatabase: true,
  createConnection: (options) => new ListenConnection(options),
  createStatements,
  async loadEntities(dataSource) {
    const { triggers } = Database.of(dataSource);
    return triggers.length === 0 ? undefined : EntityChannels.load(dataSource, triggers);
  },
};
