import type { QueryRunner } from 'typeorm';

const currentSearchPath = "select current_setting('search_path') as path";
const setSearchPath = "select set_config('search_path', $1, true)";

/**
 * Runs `read` with an empty `search_path`: definitions in the catalog omit the schema of everything
 * in the path. For the transaction only: behind a transaction pooler, the next client gets the
 * session.
 *
 * no deadline: a part of a migration or of the start, whose limits are the application's
 */
export async function withEmptySearchPath<T>(runner: QueryRunner, read: () => Promise<T>): Promise<T> {
  const isOurs = !runner.isTransactionActive;
  if (isOurs) await runner.startTransaction();
  try {
    const [before] = await rowsOf<{ path: string }>(runner, currentSearchPath);
    await runner.query(setSearchPath, ['']);
    const found = await read();
    await runner.query(setSearchPath, [before?.path ?? '']);
    return found;
  } finally {
    if (isOurs) await runner.rollbackTransaction();
  }
}

/**
 * Returns rows with the type that the caller states; drivers declare `any`.
 *
 * no deadline: a part of a migration or of the start, whose limits are the application's
 */
export const rowsOf = async <Row>(
  runner: QueryRunner,
  sql: string,
  parameters: unknown[] = [],
): Promise<Row[]> => (await runner.query(sql, parameters)) as Row[];
