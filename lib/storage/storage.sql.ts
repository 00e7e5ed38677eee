import { quoteQualified } from '../common/sql-identifier.js';

export const NOTIFICATION_TABLE = 'pgpubsub_notification';
/** Notifications that are not retried any more. */
export const DEAD_LETTER_TABLE = 'pgpubsub_dead_letter';
/** The function that deletes the rows that a claim has handled, or raises an error. */
export const COMPLETE_FUNCTION = 'pgpubsub_complete';
/** The start of the message of an error in `pgpubsub_complete()`. */
export const COMPLETION_REFUSED = 'pgpubsub: completed';
/** The trigger functions, by delivery. */
export const TRIGGER_FUNCTIONS = {
  broadcast: 'pgpubsub_broadcast',
  'exactly-once': 'pgpubsub_store',
} as const;

/**
 * The channel that wakes the processes that claim. The payload is a channel's name, so that equal
 * hints of a transaction become one; an empty payload means that settings of channels have changed.
 */
export const HINT_CHANNEL = 'pgpubsub';

export const PROCESS_TABLE = 'pgpubsub_process';
/** The settings of channels that apply to all processes. */
export const CHANNEL_TABLE = 'pgpubsub_channel';

/** The place of the library's own tables and functions, and of TypeORM's list of migrations. */
export interface Storage {
  readonly schema: string;
  readonly migrationsSchema: string;
  readonly migrationsTable: string;
  /** The role whose objects are ours, if it is configured. */
  readonly role?: string | undefined;
}

export const notificationTable = (schema: string): string => quoteQualified(schema, NOTIFICATION_TABLE);
export const deadLetterTable = (schema: string): string => quoteQualified(schema, DEAD_LETTER_TABLE);
export const processTable = (schema: string): string => quoteQualified(schema, PROCESS_TABLE);
export const channelTable = (schema: string): string => quoteQualified(schema, CHANNEL_TABLE);

/**
 * An expression that sets the schema version for the rows that the same statement stores: the
 * default of their column `schema_version` reads the setting. Never null. Evaluated once per
 * statement.
 */
export const noteSchemaVersion = (schema: string): string =>
  `set_config('pgpubsub.schema_version', coalesce(${quoteQualified(schema, 'pgpubsub_schema_version')}(), ''), true)`;
