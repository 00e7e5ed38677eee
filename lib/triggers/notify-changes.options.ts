import * as v from 'valibot';
import { isChannelDefinition } from '../channels/channel-brand.js';
import type { ChannelDefinition } from '../channels/channel.definition.js';
import { DELIVERY_OPTIONS, operations } from '../channels/channel.options.js';
import { nonEmptyString, optional, valueOf, type GivenOptions } from '../common/parse.js';

export const names = (content: string): v.GenericSchema<readonly string[]> =>
  v.pipe(v.array(nonEmptyString, `a list of ${content}`), v.description(`list of ${content}`));

/** The options of a trigger that `@NotifyChanges()` and handwritten migrations share. */
export const TRIGGER_OPTIONS = {
  /**
   * Operations to notify.
   *
   * @defaultValue `['insert', 'update', 'delete']`
   */
  on: optional(operations, ['insert', 'update', 'delete']),
  /**
   * Only changes for which this condition over OLD and NEW is true; a row that does not exist is
   * all NULL. Columns are named as in the database, functions outside of `pg_catalog` with their
   * schema.
   *
   * @defaultValue none
   * @remarks OLD is all NULL for inserts, NEW for deletes.
   */
  when: optional(
    valueOf<string>(
      (value) => typeof value === 'string' && value !== '',
      'a string that is not empty',
      'SQL condition',
    ),
  ),
  /**
   * Whether the trigger runs per row or per statement, which is cheaper in bulk. Each row is one
   * notification either way.
   *
   * @defaultValue `'row'`
   */
  level: optional(v.picklist(['row', 'statement']), 'row'),
};

export const NOTIFY_CHANGES_OPTIONS = {
  /**
   * The channel. Its default is `schema.table` outside of the DataSource's default schema.
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
   * Properties to carry, at least one; those with `select: false` only if named here.
   *
   * @defaultValue all but `select: false` ones
   */
  columns: optional(names('properties')),
  /**
   * Properties to leave out, such as passwords. Not with `columns`.
   *
   * @defaultValue none
   */
  exclude: optional(names('properties'), []),
  /**
   * Only updates that change one of these values. An update that changes nothing never counts.
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
