import * as v from 'valibot';
import { DELIVERY_OPTIONS } from '../channels/channel.options.js';
import { nonEmptyString, optional, type GivenOptions } from '../common/parse.js';
import { TRIGGER_OPTIONS, names } from './notify-changes.options.js';

const { delivery, ordered, wake } = DELIVERY_OPTIONS;

export const LITERAL_OPTIONS = {
  /**
   * Schema of the table.
   *
   * @defaultValue `'public'`
   */
  schema: optional(nonEmptyString, 'public'),
  /** Table whose changes are notified. */
  table: nonEmptyString,
  /**
   * The channel. Its default is `schema.table` outside of the DataSource's default schema.
   *
   * @defaultValue the table's name
   */
  channel: optional(v.string()),
  /**
   * Columns to carry, at least one, also those that an entity does not select.
   *
   * @defaultValue all but `exclude`
   */
  columns: optional(names('columns')),
  /**
   * Columns to leave out. Not with `columns`.
   *
   * @defaultValue none
   */
  exclude: optional(names('columns'), []),
  /**
   * Only updates that change one of these values.
   *
   * @defaultValue any
   */
  of: optional(names('columns'), []),
  ...TRIGGER_OPTIONS,
  /**
   * Columns kept of a row too large for a notification.
   *
   * @defaultValue the table's primary key
   */
  primaryKey: optional(names('columns')),
  /**
   * `'exactly-once'` needs the tables of {@link createNotificationStorage}.
   *
   * @defaultValue `'broadcast'`
   * @remarks Notifications are stored in these tables, which must exist.
   */
  delivery,
  /**
   * Exactly-once: whether the primary key becomes the notification's key.
   *
   * @defaultValue `false`
   */
  ordered,
  /**
   * Exactly-once: `'poll'` keeps NOTIFY out of the writing transaction.
   *
   * @defaultValue `'notify'`
   */
  wake,
  /**
   * Exactly-once: schema of the tables of stored notifications.
   *
   * @defaultValue the DataSource's
   */
  storageSchema: optional(nonEmptyString),
  /**
   * Owner of the trigger, as in {@link withPgPubSub}.
   *
   * @defaultValue the DataSource's
   */
  owner: optional(nonEmptyString),
};

/** A trigger in the names of the database: a migration must not change with the entity. */
export interface NotifyTriggerLiterals extends GivenOptions<typeof LITERAL_OPTIONS> {}
