/**
 * Whatever can run SQL: TypeORM's `EntityManager`, `QueryRunner`, `Repository` and `DataSource` all do. Handing
 * one over means: in its transaction, where it is in one.
 */
export interface SqlExecutor {
  /** Runs one statement; parameters are values for $1, $2, … */
  // TypeORM declares `Promise<any>`, which is assignable to this
  query(sql: string, parameters?: unknown[]): Promise<unknown>;
}
