import type { ChannelOptions, ChannelDefinition } from '../channels/channel.definition.js';
import { OPERATIONS, type Operation } from '../channels/entity-change.js';

const DECLARATIONS = Symbol.for('nestjs-pgpubsub:notify-changes');

/** However they were listed: the same operations make the same trigger. */
export const inOrder = (operations: readonly Operation[]): Operation[] =>
  OPERATIONS.filter((operation) => operations.includes(operation));

/** Options of {@link NotifyChanges}; properties are named as in the entity. */
export interface NotifyChangesOptions<T = unknown> extends Omit<ChannelOptions, 'schema' | 'codec'> {
  /**
   * The channel, by name or definition. Without it the name of the table, with its schema (`schema.table`) when that is not the
   * default schema of the DataSource.
   */
  channel?: string | ChannelDefinition;
  /**
   * Which operations are notified.
   *
   * @defaultValue `['insert', 'update', 'delete']`
   */
  on?: Operation | readonly Operation[];
  /**
   * The properties that are carried. Without it all but those with `select: false`, which leave the table only when
   * they are named here.
   */
  columns?: readonly PropertyOf<T>[];
  /** Properties that the notification leaves out, for example a password. Not together with `columns`. */
  exclude?: readonly PropertyOf<T>[];
  /**
   * Updates count only when one of these properties changed, by value. An update that changes nothing never counts.
   */
  of?: readonly PropertyOf<T>[];
  /**
   * An SQL condition over OLD and NEW: only changes for which it is true are notified. OLD is all NULL for inserts,
   * NEW for deletes; columns are named as in the database, functions outside of `pg_catalog` with their schema.
   */
  when?: string;
  /**
   * `'row'`: the trigger runs for each row. `'statement'`: once per statement, for all of its rows: less work where
   * statements touch many. Either way each row is a notification of its own.
   *
   * @defaultValue `'row'`
   */
  level?: 'row' | 'statement';
}

type PropertyOf<T> = unknown extends T ? string : Extract<keyof T, string>;

/**
 * Declares that changes of the entity's table are notified. Repeatable, with a channel each. The trigger itself is
 * created by TypeORM's migrations: see {@link withPgPubSub}.
 *
 * ```ts
 * @Entity()
 * @NotifyChanges({ on: 'insert' })
 * export class Author {}
 * ```
 */
export function NotifyChanges(options: NotifyChangesOptions = {}): ClassDecorator {
  return (target) => {
    Reflect.defineMetadata(DECLARATIONS, [options, ...declarationsOf(target)], target); // run from the last to the first
  };
}

/** What stands on this very class. */
export function declarationsOf(target: object): readonly NotifyChangesOptions[] {
  return (Reflect.getOwnMetadata(DECLARATIONS, target) as readonly NotifyChangesOptions[] | undefined) ?? [];
}
