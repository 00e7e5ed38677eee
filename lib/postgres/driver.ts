import type { DataSource, QueryRunner } from 'typeorm';

/** The parsers of pg (`pg.types`), with those that the application has replaced. */
export interface TypeParsers {
  getTypeParser(oid: number, format: 'text'): (text: string) => unknown;
}

/** The members of TypeORM's `PostgresDriver` that this library uses; TypeORM declares the driver as any driver. */
interface PostgresDriver {
  readonly postgres: { readonly types: TypeParsers };
  readonly options: { readonly extra?: { readonly types?: TypeParsers } };
  /** The schema of tables that name none, as TypeORM found it when it connected. */
  readonly schema?: string;
  /** The pool of pg-pool; absent until the DataSource is initialized. */
  readonly master?: Pool;
}

export interface Pool {
  readonly options?: { readonly max?: number; readonly connectionTimeoutMillis?: number };
  /** The class of its connections. */
  Client: new (options: object) => object;
  on(event: 'connect', listener: (client: PoolClient) => void): void;
  end(...parameters: unknown[]): unknown;
}

export interface PoolClient {
  on(event: 'error', listener: () => void): unknown;
}

const DEFAULT_POOL_SIZE = 10; // of pg-pool

const driverOf = ({ driver }: DataSource): PostgresDriver => driver as unknown as PostgresDriver;

/** The pool of the primary server. */
export const poolOf = (dataSource: DataSource): Pool | undefined => driverOf(dataSource).master;

/** The number of connections that the DataSource's pool opens at most. */
export const poolSizeOf = (dataSource: DataSource): number =>
  poolOf(dataSource)?.options?.max ?? DEFAULT_POOL_SIZE;

/** The schema of tables that name none: the DataSource's option, else the one TypeORM found when it connected. */
export const defaultSchemaOf = (dataSource: DataSource): string => driverOf(dataSource).schema ?? 'public';

/** The type parsers of the DataSource's own connections, even if there are two copies of pg. */
export function typeParsersOf(dataSource: DataSource): TypeParsers {
  const { postgres, options } = driverOf(dataSource);
  return options.extra?.types ?? postgres.types;
}

/** A query runner of the driver itself: those of the DataSource may carry a context, or be another library's. */
export const createPlainRunner = (dataSource: DataSource): QueryRunner =>
  dataSource.driver.createQueryRunner('master');

/** Ends a runner's connection instead of giving it back to the pool. */
export async function destroyRunner(runner: QueryRunner, cause: Error): Promise<void> {
  const postgresRunner = runner as QueryRunner & { releasePostgresConnection(error: Error): Promise<void> };
  await postgresRunner.releasePostgresConnection(cause);
}

/** Computes the metadata of the entities as `initialize()` does, without connecting. */
export async function buildMetadata(dataSource: DataSource): Promise<void> {
  await (dataSource as unknown as { buildMetadatas(): Promise<void> }).buildMetadatas();
}

/** Makes whatever asks this DataSource for a query fail: it has no database. */
export function rejectQueries(dataSource: DataSource, createError: () => Error): void {
  dataSource.createQueryRunner = () => {
    throw createError();
  };
  dataSource.query = () => Promise.reject(createError());
}
