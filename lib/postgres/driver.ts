import type { DataSource, QueryRunner } from 'typeorm';

/** pg's type parsers (`pg.types`), including those that the application has replaced. */
export interface TypeParsers {
  getTypeParser(oid: number, format: 'text'): (text: string) => unknown;
}

/** Members of TypeORM's `PostgresDriver`; TypeORM declares a DataSource's driver as `Driver`. */
interface PostgresDriver {
  readonly postgres: { readonly types: TypeParsers };
  readonly options: { readonly extra?: { readonly types?: TypeParsers } };
  /** The default schema, as TypeORM found it when it connected. */
  readonly schema?: string;
  /** The pool of pg-pool; absent until the DataSource is initialized. */
  readonly master?: Pool;
}

export interface Pool {
  readonly options?: { readonly max?: number; readonly connectionTimeoutMillis?: number };
  Client: new (options: object) => object;
  on(event: 'connect', listener: (client: PoolClient) => void): void;
  end(...parameters: unknown[]): unknown;
}

export interface PoolClient {
  on(event: 'error', listener: () => void): unknown;
}

const DEFAULT_POOL_SIZE = 10; // pg-pool's default

const driverOf = ({ driver }: DataSource): PostgresDriver => driver as unknown as PostgresDriver;

/** Returns the pool of the primary server; `undefined` until the DataSource is initialized. */
export const poolOf = (dataSource: DataSource): Pool | undefined => driverOf(dataSource).master;

export const poolSizeOf = (dataSource: DataSource): number =>
  poolOf(dataSource)?.options?.max ?? DEFAULT_POOL_SIZE;

/** Returns the default schema: the option, else the one that TypeORM found when it connected. */
export const defaultSchemaOf = (dataSource: DataSource): string => driverOf(dataSource).schema ?? 'public';

/** Returns the type parsers of the DataSource's own connections, whichever copy of pg it uses. */
export function typeParsersOf(dataSource: DataSource): TypeParsers {
  const { postgres, options } = driverOf(dataSource);
  return options.extra?.types ?? postgres.types;
}

/** Creates a plain query runner; the DataSource's may set a context, or be another library's. */
export const createPlainRunner = (dataSource: DataSource): QueryRunner =>
  dataSource.driver.createQueryRunner('master');

/** Closes a runner's connection instead of returning it to the pool. */
export async function destroyRunner(runner: QueryRunner, cause: Error): Promise<void> {
  const postgresRunner = runner as QueryRunner & { releasePostgresConnection(error: Error): Promise<void> };
  await postgresRunner.releasePostgresConnection(cause);
}

/** Computes the metadata of the entities as `initialize()` does, without connecting. */
export async function buildMetadata(dataSource: DataSource): Promise<void> {
  await (dataSource as unknown as { buildMetadatas(): Promise<void> }).buildMetadatas();
}

/** Makes every query of a DataSource without a database fail with this error. */
export function rejectQueries(dataSource: DataSource, createError: () => Error): void {
  dataSource.createQueryRunner = () => {
    throw createError();
  };
  dataSource.query = () => Promise.reject(createError());
}
