import { afterAll, afterEach, beforeAll, beforeEach, expect } from 'vitest';
import { startPostgres, type Server } from '../../tools/embedded-postgres.js';
import { STORED_DATA_SOURCE, pgpubsub, type Ended } from '../support/command.js';
import { Diagnosis, sqlIn } from '../support/doctor.js';
import { StoredDatabase } from '../support/stored-worker.js';

/**
 * Starts a server for the file, because doctor also reports the effects of other tests, and creates
 * a database for each test.
 */
export function useDoctor() {
  let server: Server;
  beforeAll(async () => {
    server = await startPostgres({
      settings: ['max_prepared_transactions=2', 'autovacuum_naptime=3600'],
    });
  });
  afterAll(() => server.stop());

  let database: StoredDatabase;
  beforeEach(async () => {
    database = await StoredDatabase.create(server.url);
  });
  afterEach(() => database[Symbol.asyncDispose]());

  return {
    get database(): StoredDatabase {
      return database;
    },
    diagnose: (...options: string[]): Promise<Diagnosis> => Diagnosis.of(database.url, ...options),
    diagnoseUntil: (matches: (diagnosis: Diagnosis) => boolean, ...options: string[]): Promise<Diagnosis> =>
      Diagnosis.until(matches, database.url, ...options),
    /** Runs the command for people: as a table and as text. */
    print: (): Promise<Ended> =>
      pgpubsub(['doctor', '-d', STORED_DATA_SOURCE], { DATABASE_URL: database.url }),
    /** Runs the statements in the remedy of the only complaint. */
    async applyRemedy({ complaints }: Diagnosis): Promise<void> {
      expect(complaints).toHaveLength(1);
      const statements = sqlIn(complaints[0]?.remedy);
      expect(statements).not.toEqual([]);
      for (const statement of statements) await database.query(statement);
    },
  };
}
