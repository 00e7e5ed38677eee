import * as v from 'valibot';
import { isChannelDefinition } from '../channels/channel-brand.js';
import type { ChannelDefinition } from '../channels/channel.definition.js';
import { DELIVERY_OPTIONS, operations } from '../channels/channel.options.js';
import { nonEmptyString, optional, valueOf, type GivenOptions } from '../common/parse.js';

/** A list of properties or columns. */
export const names = (content: string): v.GenericSchema<readonly string[]> =>
  v.pipe(v.array(nonEmptyString, `a list of ${content}`), v.description(`list of ${content}`));

/** The options of a trigger that `@NotifyChanges()` and handwritten migrations have in common. */
export const TRIGGER_OPTIONS = {
  /**
   * The operations that are notified.
   *
   * @defaultValue `['insert', 'update', 'delete']`
   */
  on: optional(operations, ['insert', 'update', 'delete']),
  /**
   * An SQL condition over OLD and NEW: only changes for which it is true are notified. OLD is all NULL for inserts, NEW for deletes.
   * Columns are named as in the database, functions outside of `pg_catalog` with their schema.
   *
   * @defaultValue none
   */
  when: optional(
    valueOf<string>(
      (value) => typeof value === 'string' && value !== '',
      'a string that is not empty',
      'SQL condition',
    ),
  ),
  /**
   * `'row'`: the trigger runs for each row. `'statement'`: it runs once per statement, for all of its rows: less work where statements
   * change many. Either way each row is a notification of its own.
   *
   * @defaultValue `'row'`
   */
  level: optional(v.picklist(['row', 'statement']), 'row'),
};

export const NOTIFY_CHANGES_OPTIONS = {
  /**
   * The channel, by name or definition. The default is `schema.table` when the table is not in the default schema of the DataSource.
   *
   * @defaultValue the table's name
   */
  channel: optional(
    valueOf<string | ChannelDefinition>(
      (value) => typeof value === 'string' || isChannelDefinition(value),
      'a channel name or a definition',
      'text, or definition',
    ),
  ),
  /**
   * The properties that the notification carries, at least one. Properties with `select: false` are carried only when they are named
   * here.
   *
   * @defaultValue all but `select: false` ones
   */
  columns: optional(names('properties')),
  /**
   * Properties that the notification leaves out, for example a password. Not together with `columns`.
   *
   * @defaultValue none
   */
  exclude: optional(names('properties'), []),
  /**
   * Updates count only when one of these properties changed, by value. An update that changes nothing never counts.
   *
   * @defaultValue any
   */
  of: optional(names('properties'), []),
  ...TRIGGER_OPTIONS,
  ...DELIVERY_OPTIONS,
};

/** Options of {@link NotifyChanges}; properties are named as in the entity. */
export interface NotifyChangesOptions<T = unknown> extends GivenOptions<typeof NOTIFY_CHANGES_OPTIONS> {
  // those that name properties of the entity
  columns?: readonly PropertyOf<T>[];
  exclude?: readonly PropertyOf<T>[];
  of?: readonly PropertyOf<T>[];
}

type PropertyOf<T> = unknown extends T ? string : Extract<keyof T, string>;
