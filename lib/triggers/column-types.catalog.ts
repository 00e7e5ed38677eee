import type { DataSource, EntityMetadata } from 'typeorm';
import { columnTypes } from './column-types.sql.js';

/** The type of a column as PostgreSQL reports it: a domain is resolved to its base type. */
export interface ColumnType {
  readonly oid: number;
  /** The name in `pg_type`: `timestamptz`, `_int4`. */
  readonly name: string;
  /** The type of an array's elements and their delimiter; null for other types. */
  readonly element: { readonly name: string; readonly delimiter: string } | null;
}

export interface TableTypes {
  readonly schema: string;
  readonly table: string;
  readonly columns: ReadonlyMap<string, ColumnType>;
  /** The time zone of sessions of this DataSource. */
  readonly timeZone: string;
}

/** A row with all values as text, because the application may have replaced pg's parsers. */
interface ColumnRow {
  readonly position: string;
  readonly schema: string;
  readonly table: string;
  readonly column: string;
  readonly oid: string;
  readonly name: string;
  readonly element_name: string | null;
  readonly element_delimiter: string | null;
  readonly time_zone: string;
}

/**
 * Loads the types of all columns of the tables in one round trip. Missing tables have no entry.
 *
 * no deadline: a part of a migration or of the start, whose limits are the application's
 */
export async function loadColumnTypes(
  dataSource: DataSource,
  metadatas: readonly EntityMetadata[],
): Promise<ReadonlyMap<EntityMetadata, TableTypes>> {
  const schemas = metadatas.map(({ schema }) => schema ?? null);
  const names = metadatas.map(({ tableName }) => tableName);
  const rows: ColumnRow[] = await dataSource.query(columnTypes, [schemas, names]);
  const tables = new Map<EntityMetadata, TableTypes>();
  for (const [index, metadata] of metadatas.entries()) {
    const columns = rows.filter(({ position }) => Number(position) === index + 1);
    if (columns[0]) tables.set(metadata, tableOf(columns[0], columns));
  }
  return tables;
}

const tableOf = (first: ColumnRow, rows: readonly ColumnRow[]): TableTypes => ({
  schema: first.schema,
  table: first.table,
  timeZone: first.time_zone,
  columns: new Map(rows.map((row) => [row.column, typeOf(row)])),
});

const typeOf = (row: ColumnRow): ColumnType => ({
  oid: Number(row.oid),
  name: row.name,
  element:
    row.element_name === null ? null : { name: row.element_name, delimiter: row.element_delimiter ?? ',' },
});
