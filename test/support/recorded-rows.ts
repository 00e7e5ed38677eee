import assert from 'node:assert';
import type pg from 'pg';
import { DataSource, type EntityTarget, type ObjectLiteral } from 'typeorm';
import type { PostgresDataSourceOptions } from 'typeorm/driver/postgres/PostgresDataSourceOptions.js';
import { expect, inject } from 'vitest';
import { splitJsonObject } from '../../lib/common/json-text.js';
import { RowHydrators, type RowHydrator } from '../../lib/triggers/row.hydrator.js';
import { TestDatabase } from './database.js';

const EXTENSIONS = ['citext', 'hstore', 'ltree', 'cube', 'uuid-ossp'];

/**
 * Records the texts that a trigger of the library sends: the function has the settings of all such
 * functions.
 */
const recorder = (digits: number) => `
  create table recorded (position bigserial, as_row text, as_jsonb text);
  create function record() returns trigger language plpgsql
    set datestyle = 'ISO' set intervalstyle = 'postgres' set bytea_output = 'hex'
    set extra_float_digits = '${digits}' set search_path = pg_catalog, pg_temp
  as $$
  begin
    insert into public.recorded (as_row, as_jsonb) values (row_to_json(new)::text, to_jsonb(new)::text);
    return null;
  end $$;
`;

export interface Recorded {
  readonly as_row: string;
  readonly as_jsonb: string;
}

export async function createRecordingDatabase(serverUrl?: string): Promise<TestDatabase> {
  const database = await TestDatabase.create(serverUrl);
  // before PostgreSQL 12 a session writes 15 digits, unless it sets more; since then all digits of
  // a float
  const digits = inject('serverVersion') < 120_000 ? 0 : 1;
  await database.query(EXTENSIONS.map((name) => `create extension "${name}";`).join('') + recorder(digits));
  return database;
}

export const record = (table: string): string =>
  `create trigger record after insert or update on ${table} for each row execute function record()`;

/** A client of pg, or a DataSource. */
interface SqlClient {
  query(text: string): Promise<unknown>;
}

/** The rows that `sql` wrote, in its order. */
export async function rowsOf(client: SqlClient, sql: string): Promise<Recorded[]> {
  const run = async (text: string) => {
    const result = await client.query(text);
    return (Array.isArray(result) ? result : (result as pg.QueryResult).rows) as Recorded[];
  };
  await run('delete from recorded');
  await run(sql);
  return run('select as_row, as_jsonb from recorded order by position');
}

export async function rowOf(client: DataSource, sql: string): Promise<Recorded> {
  const [row, ...others] = await rowsOf(client, sql);
  assert(row !== undefined && others.length === 0, 'expected one row');
  return row;
}

/** A DataSource that `await using` closes. */
export async function open(
  database: TestDatabase,
  options: Partial<PostgresDataSourceOptions>,
): Promise<DataSource & AsyncDisposable> {
  const dataSource = await new DataSource({ type: 'postgres', url: database.url, ...options }).initialize();
  return Object.assign(dataSource, { [Symbol.asyncDispose]: () => dataSource.destroy() });
}

export async function hydratorOf(
  dataSource: DataSource,
  target: EntityTarget<ObjectLiteral>,
): Promise<RowHydrator> {
  const hydrator = (await RowHydrators.load(dataSource)).findFor(target);
  assert(hydrator !== undefined, 'expected a hydrator');
  return hydrator;
}

/**
 * Expects the same class, with the same properties in the same order and the same values, at every
 * depth.
 */
export function expectSame(hydrated: object, loaded: object | null): void {
  expect(hydrated).toStrictEqual(loaded);
  if (!hasInvalidDate(hydrated)) assert.deepStrictEqual(hydrated, loaded); // for Node, two invalid dates differ
  expect(Object.keys(hydrated)).toEqual(Object.keys(loaded ?? {}));
}

const hasInvalidDate = (entity: object): boolean =>
  Object.values(entity).some((value) => value instanceof Date && Number.isNaN(value.getTime()));

/**
 * A row without one column: columns with `select: false` are in the row, unless the trigger removes
 * them.
 */
export function without(name: string, rowText: string): string {
  const members = [...splitJsonObject(rowText)].filter(([key]) => key !== name);
  return `{${members.map(([key, source]) => `${JSON.stringify(key)}:${source}`).join()}}`;
}
