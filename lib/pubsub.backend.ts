import { ListenConnection, type ListenConnectionOptions } from './connection/listen-connection.js';
import { createStatements, type Statements } from './publishing/statements.js';
import { DatabasePreparation, type Preparation, type PreparationOptions } from './pubsub.preparation.js';
import { NotificationStore, type NotificationStoreOptions } from './store/notification-store.js';

/** The LISTEN connection, as the other parts see it. */
export type Connection = Pick<ListenConnection, keyof ListenConnection>;

/** The parts that reach the database. `nestjs-pgpubsub/testing` has others, that do without one. */
export interface Backend {
  createConnection(options: ListenConnectionOptions): Connection;
  createStatements(schema: () => string): Statements;
  createStore(options: NotificationStoreOptions): NotificationStore;
  createPreparation(options: PreparationOptions): Preparation;
}

export const postgresBackend: Backend = {
  createConnection: (options) => new ListenConnection(options),
  createStatements,
  createStore: (options) => new NotificationStore(options),
  createPreparation: (options) => new DatabasePreparation(options),
};
