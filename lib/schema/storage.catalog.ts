import type { QueryRunner } from 'typeorm';
import { quoteQualified } from '../common/sql-identifier.js';
import { rowsOf, withoutSearchPath } from './catalog-session.js';
import {
  readColumns,
  readConstraints,
  readFunctions,
  readIndexes,
  readTables,
  rowExists,
  schemaExists,
} from './catalog.sql.js';
import {
  COMPLETE_FUNCTION,
  DEAD_LETTER_TABLE,
  NOTIFICATION_TABLE,
  NOTIFY_FUNCTION,
  VERSION_FUNCTION,
  type Storage,
  type StorageColumn,
} from './storage.sql.js';

export interface FoundConstraint {
  readonly name: string;
  readonly definition: string;
}

export interface FoundIndex extends FoundConstraint {
  readonly valid: boolean;
  /** What follows `CREATE INDEX name ON table`, of one that is not unique. */
  readonly described: string;
}

export interface FoundTable {
  readonly schema: string;
  readonly name: string;
  /** `pg_class.relkind`: r is a table. */
  readonly kind: string;
  readonly logged: boolean;
  readonly settings: readonly string[] | null;
  readonly comment: string | null;
  /** Whether the owning role has it, and it is a table. */
  readonly owned: boolean;
  readonly columns: readonly StorageColumn[];
  readonly constraints: readonly FoundConstraint[];
  readonly indexes: readonly FoundIndex[];
}

export interface FoundFunction {
  readonly schema: string;
  readonly name: string;
  readonly language: string;
  readonly types: string;
  readonly parameters: string;
  readonly result: string;
  readonly volatility: string;
  /** With the rights of the caller, called for nulls, too: as ours are. */
  readonly plain: boolean;
  readonly settings: readonly string[] | null;
  readonly body: string;
  readonly comment: string | null;
  /** Whether the owning role has it. */
  readonly owned: boolean;
  readonly definition: string;
}

export interface StorageCatalog {
  /** Of the schema that was asked for. */
  readonly schemaExists: boolean;
  readonly tables: readonly FoundTable[];
  readonly functions: readonly FoundFunction[];
}

/** What the first migration finds. */
export const NO_STORAGE: StorageCatalog = { schemaExists: true, tables: [], functions: [] };

interface Member {
  readonly schema: string;
  readonly table: string;
}

interface ColumnRow extends Member {
  readonly name: string;
  readonly type: string;
  readonly not_null: boolean;
  readonly default: string | null;
  readonly identity: 'by default' | 'always' | null;
}

/** What stands where the storage would be, and what is left of ours in other schemas. */
export const readStorage = (
  runner: QueryRunner,
  { schema, migrationsSchema, migrationsTable }: Storage,
): Promise<StorageCatalog> =>
  withoutSearchPath(runner, async () => {
    const place = [schema, migrationsSchema, migrationsTable];
    const ours = [[NOTIFICATION_TABLE, DEAD_LETTER_TABLE], ...place];
    const tables = await rowsOf<Omit<FoundTable, 'columns' | 'constraints' | 'indexes'>>(
      runner,
      readTables,
      ours,
    );
    const columns = await rowsOf<ColumnRow>(runner, readColumns, ours);
    const constraints = await rowsOf<Member & FoundConstraint>(runner, readConstraints, ours);
    const indexes = await rowsOf<Member & FoundIndex>(runner, readIndexes, ours);
    const names = [VERSION_FUNCTION, NOTIFY_FUNCTION, COMPLETE_FUNCTION];
    const functions = await rowsOf<FoundFunction>(runner, readFunctions, [names, ...place]);
    const [found] = await rowsOf<{ exists: boolean }>(runner, schemaExists, [schema]);
    return {
      schemaExists: found?.exists === true,
      tables: tables.map((table) => ({
        ...table,
        columns: membersOf(table, columns).map(columnOf),
        constraints: membersOf(table, constraints),
        indexes: membersOf(table, indexes),
      })),
      functions,
    };
  });

const membersOf = <T extends Member>(table: Pick<FoundTable, 'schema' | 'name'>, rows: readonly T[]): T[] =>
  rows.filter((row) => row.schema === table.schema && row.table === table.name);

const columnOf = ({ name, type, not_null: notNull, default: value, identity }: ColumnRow): StorageColumn => ({
  name,
  type,
  notNull,
  default: value ?? undefined,
  identity: identity ?? undefined,
});

/** Does one of the tables hold rows? Those who may not read it are told so by PostgreSQL. */
export async function holdsRows(runner: QueryRunner, tables: readonly FoundTable[]): Promise<boolean> {
  for (const { schema, name } of tables) {
    const [found] = await rowsOf<{ exists: boolean }>(runner, rowExists(quoteQualified(schema, name)));
    if (found?.exists === true) return true;
  }
  return false;
}
