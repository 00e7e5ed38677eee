import type { QueryRunner } from 'typeorm';
import { quoteQualified } from '../common/sql-identifier.js';
import { rowsOf, withEmptySearchPath } from '../postgres/empty-search-path.js';
import type { Storage } from '../storage/storage.sql.js';
import { readFunctions, readServer, selectTables, readTriggers } from './catalog.sql.js';

export interface CatalogTrigger {
  readonly schema: string;
  readonly table: string;
  readonly name: string;
  readonly function_name: string;
  readonly function_schema: string;
  /** `pg_trigger.tgtype`: level, timing and operations as bits. */
  readonly type: number;
  readonly enabled: string;
  readonly old_table: string | null;
  readonly new_table: string | null;
  /** Whether the trigger has no columns and is not deferred, like ours. */
  readonly plain: boolean;
  /** The WHEN clause, as PostgreSQL prints it. */
  readonly condition: string | null;
  /** The arguments in hexadecimal digits, each terminated by a zero byte. */
  readonly arguments: string;
  readonly definition: string;
  readonly comment: string | null;
  /** Whether its table and its function are ours. */
  readonly owned: boolean;
}

export interface CatalogFunction {
  readonly schema: string;
  readonly name: string;
  readonly body: string;
  readonly settings: readonly string[] | null;
  /** Whether the function is like a generated one, for example with the rights of the caller. */
  readonly plain: boolean;
  /** The name with its parameters, as in statements. */
  readonly identity: string;
  readonly definition: string;
  readonly comment: string | null;
  /** Whether the function is ours. */
  readonly owned: boolean;
  /** Whether its owner is trusted. */
  readonly trusted: boolean;
}

export interface Catalog {
  /** As `server_version_num` has it: 180004. */
  readonly serverVersion: number;
  readonly triggers: readonly CatalogTrigger[];
  readonly functions: readonly CatalogFunction[];
}

/** Reads our triggers and functions, and others with their names. */
export const readCatalog = (
  runner: QueryRunner,
  names: readonly string[],
  { migrationsSchema, migrationsTable, role }: Storage,
): Promise<Catalog> =>
  withEmptySearchPath(runner, async () => {
    const ours = [names, role ?? null];
    return {
      serverVersion: (await findServer(runner)).version,
      triggers: await rowsOf<CatalogTrigger>(runner, readTriggers, ours),
      functions: await rowsOf<CatalogFunction>(runner, readFunctions, [
        ...ours,
        migrationsSchema,
        migrationsTable,
      ]),
    };
  });

/** The properties of a server that affect the text of a trigger. */
export interface Server {
  /** As `server_version_num` has it: 180004. */
  readonly version: number;
  /** The schema of PostGIS. */
  readonly postgis: string | undefined;
}

export async function findServer(runner: QueryRunner): Promise<Server> {
  const [found] = await rowsOf<{ version: string; postgis: string | null }>(runner, readServer);
  return { version: Number(found?.version), postgis: found?.postgis ?? undefined };
}

/** The schema and name of a table. */
export interface TableName {
  readonly schema: string;
  readonly table: string;
}

export interface CatalogTable {
  /** The quoted name, with its schema. */
  readonly name: string;
  readonly partitioned: boolean;
  /** Whether the table is a partition of another table. */
  readonly partition: boolean;
  readonly columns: readonly string[];
  /** Virtual generated columns (PostgreSQL 18), in which trigger functions see null. */
  readonly virtual: readonly string[];
  /** Columns with PostGIS's types geometry and geography, and with arrays of them. */
  readonly geometries: readonly string[];
  readonly geographies: readonly string[];
  readonly spatial_arrays: readonly string[];
  readonly primary_key: readonly string[];
}

/** Reads the tables; returns a function that finds an existing one by its place. */
export async function readCatalogTables(
  runner: QueryRunner,
  places: readonly TableName[],
): Promise<(place: TableName) => CatalogTable | undefined> {
  const names = new Set(places.map(nameOf));
  const tables = await rowsOf<CatalogTable>(runner, selectTables, [[...names]]);
  return (place) => tables.find(({ name }) => name === nameOf(place));
}

const nameOf = ({ schema, table }: TableName): string => quoteQualified(schema, table);
