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
  /** No columns, not deferred: as ours are. */
  readonly plain: boolean;
  /** The WHEN clause, as PostgreSQL writes it. */
  readonly condition: string | null;
  /** In hexadecimal digits, each with a zero byte at its end. */
  readonly arguments: string;
  readonly definition: string;
  readonly comment: string | null;
  /** Whether the owning role has its table and its function. */
  readonly owned: boolean;
}

export interface CatalogFunction {
  readonly schema: string;
  readonly name: string;
  readonly body: string;
  readonly settings: readonly string[] | null;
  /** With the rights of the caller: as ours are. */
  readonly plain: boolean;
  /** With its parameters, as statements name it. */
  readonly identity: string;
  readonly definition: string;
  readonly comment: string | null;
  /** Whether the owning role has it. */
  readonly owned: boolean;
  /** Whether a role has it that may. */
  readonly trusted: boolean;
}

export interface Catalog {
  /** As `server_version_num` has it: 180004. */
  readonly serverVersion: number;
  readonly triggers: readonly CatalogTrigger[];
  readonly functions: readonly CatalogFunction[];
}

/** The triggers and functions of ours, and those that have their names. */
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

/** The parts of a server that the text of a trigger depends on. */
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

/** Where a table stands. */
export interface TableName {
  readonly schema: string;
  readonly table: string;
}

/** A table as it is. */
export interface CatalogTable {
  /** Quoted, with its schema. */
  readonly name: string;
  readonly partitioned: boolean;
  /** Of another table. */
  readonly partition: boolean;
  readonly columns: readonly string[];
  /** Columns that are computed when they are read (PostgreSQL 18): trigger functions see null in them. */
  readonly virtual: readonly string[];
  /** Columns with the type geometry of PostGIS, with its type geography, and with arrays of them. */
  readonly geometries: readonly string[];
  readonly geographies: readonly string[];
  readonly spatial_arrays: readonly string[];
  readonly primary_key: readonly string[];
}

/** Those of the tables that are there, by their places. */
export async function readCatalogTables(
  runner: QueryRunner,
  places: readonly TableName[],
): Promise<(place: TableName) => CatalogTable | undefined> {
  const names = new Set(places.map(nameOf));
  const tables = await rowsOf<CatalogTable>(runner, selectTables, [[...names]]);
  return (place) => tables.find(({ name }) => name === nameOf(place));
}

const nameOf = ({ schema, table }: TableName): string => quoteQualified(schema, table);
