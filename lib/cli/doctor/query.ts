import type { SqlExecutor } from '../../common/sql-executor.js';

/** Rows as their statement says: a driver declares them `any`. Numbers are texts: the application's type parsers are its own. */
export async function read<Row>(
  executor: SqlExecutor,
  sql: string,
  parameters: unknown[] = [],
): Promise<Row[]> {
  // no deadline: a command, which a person runs and ends
  return (await executor.query(sql, parameters)) as Row[];
}

/** The one row of a statement that always has one. */
export async function readOne<Row>(executor: SqlExecutor, sql: string): Promise<Row> {
  const [row] = await read<Row>(executor, sql);
  if (row === undefined) throw new Error('expected a row, got none');
  return row;
}
