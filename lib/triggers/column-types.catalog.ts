import type { DataSource, EntityMetadata } from 'typeorm';
import { columnTypes } from './column-types.sql.js';

/** What a column is made of, as PostgreSQL tells a client: of a domain, the type below it. */
export interface ColumnType {
  readonly oid: number;
  /** As in `pg_type`: `timestamptz`, `_int4`. */
  readonly name: string;
  /** Of an array: the type of its elements, and what stands between them. */
  readonly element: { readonly name: string; readonly delimiter: string } | null;
}

/** A table as it was when it was looked up. */
export interface TableTypes {
  readonly schema: string;
  readonly table: string;
  readonly columns: ReadonlyMap<string, ColumnType>;
  /** Of the session that asked, and so, of whoever reads through this DataSource. */
  readonly timeZone: string;
}

/** All as text: the application may have put any parsers into pg. */
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
 * The types of all columns of the tables of `metadatas`, in one round trip; tables that are not there have no entry.
 *
 * no deadline: a part of a migration or of the start, whose locks and duration are the application's
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
