import * as v from 'valibot';
import { DELIVERY_OPTIONS } from '../channels/channel.options.js';
import { nonEmptyString, optional, type GivenOptions } from '../common/parse.js';
import { TRIGGER_OPTIONS, names } from './notify-changes.options.js';

const { delivery, ordered, wake } = DELIVERY_OPTIONS;

export const LITERAL_OPTIONS = {
  /**
   * The schema of the table.
   *
   * @defaultValue `'public'`
   */
  schema: optional(nonEmptyString, 'public'),
  /** The table whose changes are notified. */
  table: nonEmptyString,
  /**
   * The channel. The default is `schema.table` when the table is not in the default schema of the DataSource.
   *
   * @defaultValue the table's name
   */
  channel: optional(v.string()),
  /**
   * The columns that the notification carries, at least one; also those that an entity does not select.
   *
   * @defaultValue all but `exclude`
   */
  columns: optional(names('columns')),
  /**
   * Columns that the notification leaves out. Not together with `columns`.
   *
   * @defaultValue none
   */
  exclude: optional(names('columns'), []),
  /**
   * Updates count only when one of these columns changed, by value.
   *
   * @defaultValue any
   */
  of: optional(names('columns'), []),
  ...TRIGGER_OPTIONS,
  /**
   * The columns that are left of a row too large for a notification.
   *
   * @defaultValue the table's primary key
   */
  primaryKey: optional(names('columns')),
  /**
   * Which processes receive a notification. `'exactly-once'`: notifications are stored, in the tables of
   * {@link createNotificationStorage}, which must be there.
   *
   * @defaultValue `'broadcast'`
   */
  delivery,
  /**
   * Exactly-once: whether the primary key becomes the key of the notification.
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
   * Exactly-once: the schema of the tables of stored notifications.
   *
   * @defaultValue the DataSource's
   */
  storageSchema: optional(nonEmptyString),
  /**
   * The owner of the trigger, as `owner` of {@link withPgPubSub}.
   *
   * @defaultValue the DataSource's
   */
  owner: optional(nonEmptyString),
};

/** A trigger in the words of the database: a migration must not change when the entity does. */
export interface NotifyTriggerLiterals extends GivenOptions<typeof LITERAL_OPTIONS> {}
