/** What can happen to a table. */
export const OPERATIONS = ['insert', 'update', 'delete', 'truncate'] as const;

/** What has happened to a table: `'insert'`, `'update'`, `'delete'` or `'truncate'`. */
export type Operation = (typeof OPERATIONS)[number];

/** A class of entities. */
export type EntityClass<E = object> = abstract new (...args: never[]) => E;

/** A change of a row, as listeners of an entity get it. `old` and `new` are instances of the entity. */
export interface EntityChange<T = Record<string, unknown>> {
  readonly operation: Operation;
  /** The row before; `null` for inserts and truncates. */
  readonly old: T | null;
  /** The row after; `null` for deletes and truncates. */
  readonly new: T | null;
  /** `new`, else `old`; with the primary key only for an insert that was `truncated`, and whose row is gone. */
  readonly entity: T | null;
  /** The properties that an update changed, by value; empty for the rest, and when `truncated`. */
  readonly changed: readonly Extract<keyof T, string>[];
  /** The names are those of the database. */
  readonly table: string;
  readonly schema: string;
  /**
   * The row was too large for a notification. `old` has its primary key only, and `new` was loaded by primary key: it
   * may be newer than the change, and is `null` when the row is gone by now.
   */
  readonly truncated: boolean;
}
