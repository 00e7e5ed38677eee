import { afterAll, afterEach, beforeAll, beforeEach, inject } from 'vitest';
import { createSteps } from '../../lib/storage/state.js';
import { TestDatabase } from './database.js';

export interface UseDatabase {
  /** Whether the tests of the file share one database, or each test has its own. */
  readonly per?: 'file' | 'test';
  /** The statements that create its contents; they run once per test run, see `templateWith()`. */
  readonly contents?: () => readonly string[];
}

/** A database for the file, or for each of its tests; it exists from the hooks of the file on. */
export function useDatabase({ per = 'file', contents }: UseDatabase = {}): TestDatabase {
  const database = new TestDatabase();
  const [before, after] = per === 'file' ? [beforeAll, afterAll] : [beforeEach, afterEach];
  before(() => (contents ? database.createWith(contents()) : database.create()));
  after(() => database[Symbol.asyncDispose]());
  return database;
}

/** The owner of the storage that a DataSource creates with TypeORM's defaults. */
const DEFAULT_OWNER = 'public.migrations';

/** The tables and functions of stored notifications, in the schema "public". */
export function storage(owner: string = DEFAULT_OWNER): string[] {
  const place = { schema: 'public', migrationsSchema: 'public', migrationsTable: 'migrations' };
  const steps = createSteps({ storage: place, serverVersion: inject('serverVersion') }, owner);
  return steps.map(({ up = '' }) => up);
}
