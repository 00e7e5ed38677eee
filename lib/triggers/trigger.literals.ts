import { createHash } from 'node:crypto';
import type { Delivery } from '../channels/channel.definition.js';
import type { Operation } from '../channels/entity-change.js';

/**
 * A trigger in the words of the database: literals only, so that a migration means the same for ever, whatever
 * becomes of the entity.
 */
export interface TriggerLiterals {
  readonly schema: string;
  readonly table: string;
  readonly channel: string;
  readonly on: readonly Operation[];
  readonly level: 'row' | 'statement';
  readonly delivery: Delivery;
  /** The columns that are carried; `undefined`: all but `exclude`. */
  readonly columns: readonly string[] | undefined;
  readonly exclude: readonly string[];
  /** Updates count only when one of these changed; empty: when any did. */
  readonly of: readonly string[];
  readonly when: string | undefined;
  /** Exactly-once: is the primary key the notification's key? */
  readonly ordered: boolean;
  /** Exactly-once: does storing wake the processes that listen? */
  readonly wake: 'notify' | 'poll';
  /** Exactly-once: where notifications are stored. */
  readonly storageSchema: string;
  /** What is left of a row that is too large for a notification. */
  readonly primaryKey: readonly string[];
}

/** PostgreSQL's limit for names. The longest suffix (`_truncate`) must fit behind, too. */
const MAX_STEM = 63 - '_truncate'.length;

/** Name of the function, and stem of the triggers' names: one per table and channel. */
export function triggerName({ table, channel }: Pick<TriggerLiterals, 'table' | 'channel'>): string {
  const readable = `${table}_${channel}`.toLowerCase().replace(/[^a-z0-9]+/g, '_');
  const hash = createHash('sha256')
    .update(JSON.stringify([table, channel]))
    .digest('hex')
    .slice(0, 8);
  return `${`pgpubsub_${readable}`.slice(0, MAX_STEM - hash.length - 1)}_${hash}`;
}
