import type { SqlExecutor } from '../../common/sql-executor.js';

/** Numbers are texts, because the application may have replaced pg's type parsers. */
export async function read<Row>(
  executor: SqlExecutor,
  sql: string,
  parameters: unknown[] = [],
): Promise<Row[]> {
  // no deadline: a command, which a person runs and ends
  return (await executor.query(sql, parameters)) as Row[];
}

/** Reads the row of a statement that always returns one. */
export async function readOne<Row>(executor: SqlExecutor, sql: string): Promise<Row> {
  const [row] = await read<Row>(executor, sql);
  if (row === undefined) throw new Error('expected a row, got none');
  return row;
}
