import type { DataSource } from 'typeorm';
import { ListenConnection, type ListenConnectionOptions } from '../connection/listen-connection.js';
import { createStatements, type Statements } from '../publishing/statements.js';
import { Database } from '../triggers/database.js';
import { EntityChannels } from '../triggers/entity-channels.js';

/** The connection that receives notifications, as the other parts of an instance use it. */
export type TransportConnection = Pick<ListenConnection, keyof ListenConnection>;

/** Sends and receives notifications. `nestjs-pgpubsub/testing` has one without a database. */
export interface Transport {
  /** Whether there is a database to compare schemas with and to claim stored notifications from. */
  readonly hasDatabase: boolean;
  createConnection(options: ListenConnectionOptions): TransportConnection;
  createStatements(schema: () => string): Statements;
  /** The channels of the DataSource's entities; `undefined` if no entity declares a trigger. */
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
