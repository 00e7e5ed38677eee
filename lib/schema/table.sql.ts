import { quoteIdentifier, quoteLiteral, quoteQualified } from '../common/sql-identifier.js';
import { columnDefinition, createTableOf, type StorageColumn } from './storage.sql.js';
import type { FoundTable } from './storage.catalog.js';

/** Where a table stands. */
export interface TablePlace {
  readonly schema: string;
  readonly name: string;
}

const tableName = ({ schema, name }: TablePlace): string => quoteQualified(schema, name);

/** All of these lock the table against everyone until the transaction ends; changed types write it anew. */
const alter = (table: TablePlace, action: string): string => `alter table ${tableName(table)} ${action}`;

const alterColumn = (table: TablePlace, column: string, action: string): string =>
  alter(table, `alter column ${quoteIdentifier(column)} ${action}`);

export const createSchema = (schema: string): string => `create schema ${quoteIdentifier(schema)}`;
export const dropSchema = (schema: string): string => `drop schema ${quoteIdentifier(schema)}`;

export const dropTable = (table: TablePlace): string => `drop table ${tableName(table)}`;

export const commentOnTable = (table: TablePlace, comment: string | null): string =>
  `comment on table ${tableName(table)} is ${comment === null ? 'null' : quoteLiteral(comment)}`;

/** As it was found; its constraints and indexes follow. */
export const recreateTable = (found: FoundTable): string => {
  const sql = createTableOf(
    found.schema,
    found.name,
    found.columns.map(columnDefinition),
    found.settings ?? [],
  );
  return found.logged ? sql : sql.replace('create table', 'create unlogged table');
};

export const setLogged = (table: TablePlace, logged: boolean): string =>
  alter(table, `set ${logged ? 'logged' : 'unlogged'}`);

/** Without a value: PostgreSQL's own. */
export const setParameter = (table: TablePlace, name: string, value: string | undefined): string =>
  alter(table, value === undefined ? `reset (${name})` : `set (${name} = ${value})`);

export const addColumn = (table: TablePlace, column: StorageColumn): string =>
  alter(table, `add column ${columnDefinition(column)}`);

export const dropColumn = (table: TablePlace, column: string): string =>
  alter(table, `drop column ${quoteIdentifier(column)}`);

export const setType = (table: TablePlace, column: string, type: string): string =>
  alterColumn(table, column, `type ${type} using ${quoteIdentifier(column)}::${type}`);

export const setNotNull = (table: TablePlace, column: string, notNull: boolean): string =>
  alterColumn(table, column, `${notNull ? 'set' : 'drop'} not null`);

export const setDefault = (table: TablePlace, column: string, value: string | undefined): string =>
  alterColumn(table, column, value === undefined ? 'drop default' : `set default ${value}`);

export const addIdentity = (table: TablePlace, { name, identity }: StorageColumn): string =>
  alterColumn(table, name, `add generated ${identity} as identity`);

export const setIdentity = (table: TablePlace, { name, identity }: StorageColumn): string =>
  alterColumn(table, name, `set generated ${identity}`);

export const dropIdentity = (table: TablePlace, column: string): string =>
  alterColumn(table, column, 'drop identity');

/** A new identity starts at 1: go on behind the rows there are. */
export const continueIdentity = (table: TablePlace, column: string): string =>
  `select setval(pg_get_serial_sequence(${quoteLiteral(tableName(table))}, ${quoteLiteral(column)}), ` +
  `coalesce(max(${quoteIdentifier(column)}), 0) + 1, false) from ${tableName(table)}`;

export const addConstraint = (table: TablePlace, name: string, definition: string): string =>
  alter(table, `add constraint ${quoteIdentifier(name)} ${definition}`);

export const dropConstraint = (table: TablePlace, name: string): string =>
  alter(table, `drop constraint ${quoteIdentifier(name)}`);

export const dropIndex = (schema: string, name: string): string =>
  `drop index ${quoteQualified(schema, name)}`;
