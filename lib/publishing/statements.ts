import { broadcastStatement, type BroadcastMessage } from './broadcast.statement.js';
import type { Statement } from './statement.js';
import { StoreStatement, type StoredMessage } from './store.statement.js';

/** What becomes of notifications, by their delivery. */
export interface Statements {
  readonly broadcast: Statement<BroadcastMessage>;
  readonly stored: Statement<StoredMessage>;
}

/** SQL; the tables are in `schema`, which is known once the DataSource is connected. */
export const createStatements = (schema: () => string): Statements => ({
  broadcast: broadcastStatement,
  stored: new StoreStatement(schema),
});
