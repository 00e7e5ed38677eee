import { ListenConnection, type ListenConnectionOptions } from './connection/listen-connection.js';
import { createStatements, type Statements } from './publishing/statements.js';
import { DatabasePreparation, type Preparation, type PreparationOptions } from './pubsub.preparation.js';
import { Workers, type WorkersOptions } from './claims/workers.js';

/** The LISTEN connection, as the other parts see it. */
export type Connection = Pick<ListenConnection, keyof ListenConnection>;

/** The parts that reach the database. `nestjs-pgpubsub/testing` has others, that do without one. */
export interface Backend {
  createConnection(options: ListenConnectionOptions): Connection;
  createStatements(schema: () => string): Statements;
  createWorkers(options: WorkersOptions): Workers;
  createPreparation(options: PreparationOptions): Preparation;
}

export const postgresBackend: Backend = {
  createConnection: (options) => new ListenConnection(options),
  createStatements,
  createWorkers: (options) => new Workers(options),
  createPreparation: (options) => new DatabasePreparation(options),
};
