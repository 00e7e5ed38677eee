/**
 * An object that runs SQL, in its transaction if it is in one: TypeORM's `EntityManager`,
 * `QueryRunner`, `Repository` and `DataSource`.
 */
export interface SqlExecutor {
  /** Runs one statement; `parameters` are the values of $1, $2, … */
  // TypeORM declares `Promise<any>`, which is assignable to this
  query(sql: string, parameters?: unknown[]): Promise<unknown>;
}
