export const OPERATIONS = ['insert', 'update', 'delete', 'truncate'] as const;

/** An operation on a table: `'insert'`, `'update'`, `'delete'` or `'truncate'`. */
export type Operation = (typeof OPERATIONS)[number];

/** The class of an entity. */
export type EntityClass<E = object> = abstract new (...args: never[]) => E;

/** A change of a row, for listeners of an entity. `old` and `new` are instances of the entity. */
export interface EntityChange<T = Record<string, unknown>> {
  readonly operation: Operation;
  /** The row before the change; `null` for inserts and truncates. */
  readonly old: T | null;
  /** The row after the change; `null` for deletes and truncates. */
  readonly new: T | null;
  /** `new`, else `old`. A `truncated` insert whose row is missing has only the primary key. */
  readonly entity: T | null;
  /** The properties that an update changed, by value; empty for the rest, and when `truncated`. */
  readonly changed: readonly Extract<keyof T, string>[];
  /** The table's name in the database, as that of the schema. */
  readonly table: string;
  readonly schema: string;
  /**
   * Whether the row was too large for a notification. `old` then has its primary key only, and
   * `new` was loaded by primary key: it may be newer than the change, and is `null` if the row no
   * longer exists.
   */
  readonly truncated: boolean;
}
