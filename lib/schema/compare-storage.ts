import type { QueryRunner } from 'typeorm';
import { holdsRows, readStorage } from './storage.catalog.js';
import { diffStorage, obsoleteTables, type StorageDiff } from './storage.diff.js';
import type { Storage } from './storage.sql.js';

interface Comparison {
  readonly storage: Storage;
  readonly owner: string;
  readonly isNeeded: boolean;
  /** What waits is dropped by a migration that somebody has read, and by nothing else. */
  readonly keepsRows: boolean;
}

/** What the database lacks, or has too much, of the storage. */
export async function compareStorage(
  runner: QueryRunner,
  { storage, owner, isNeeded, keepsRows }: Comparison,
): Promise<StorageDiff> {
  const catalog = await readStorage(runner, storage);
  const wanted = isNeeded ? storage : undefined;
  const diff = diffStorage(wanted, catalog, owner);
  const isKept = keepsRows && (await holdsRows(runner, obsoleteTables(catalog, wanted, owner)));
  return isKept ? { ...diff, drop: [] } : diff;
}
