import type { DataSource, EntityTarget, ObjectLiteral } from 'typeorm';
import { ROUND_TRIP_MS, withDeadline } from '../common/deadline.js';
import { quoteIdentifier } from '../common/sql-identifier.js';

/** The texts of a primary key, by the names of its columns. */
type Key = ReadonlyMap<string, string>;

interface Wanted {
  readonly target: EntityTarget<ObjectLiteral>;
  readonly key: Key;
  readonly resolve: (row: ObjectLiteral | null) => void;
  readonly reject: (error: unknown) => void;
}

/** The maximum number of rows per query. */
const MAX_KEYS = 1_000;

/**
 * The server errors that one value of a query can cause: data exceptions, texts that a type's input
 * function rejects (ltree: a syntax error) or finds too complex, and errors in functions of
 * extensions (a curve has no GeoJSON).
 */
const OF_VALUE = /^(?:22|54|42601$|XX000$)/;

/** Whether a query may succeed without one of its keys or rows. */
export const isErrorOfValue = (error: unknown): boolean =>
  error instanceof Error && 'code' in error && typeof error.code === 'string' && OF_VALUE.test(error.code);

/**
 * Loads rows that were too large for a notification, with one query at a time for all waiting keys,
 * so that many such changes cost the database little more than one. Owned by the decoder of a
 * channel.
 */
export class TruncatedRows {
  private waiting: Wanted[] = [];
  private isLoading = false;

  constructor(private readonly dataSource: DataSource) {}

  /** Resolves with the current row; `null` when it does not exist any more. */
  load(target: EntityTarget<ObjectLiteral>, key: Key): Promise<ObjectLiteral | null> {
    return new Promise((resolve, reject) => {
      this.waiting.push({ target, key, resolve, reject });
      if (this.isLoading) return;
      this.isLoading = true;
      queueMicrotask(() => void this.loadAll()); // others may follow in this turn
    });
  }

  private async loadAll(): Promise<void> {
    while (this.waiting.length > 0) await this.loadBatch(this.takeBatch());
    this.isLoading = false;
  }

  /** Splits a rejected batch, so that an invalid key, which any role can send, fails alone. */
  private async loadBatch(batch: readonly Wanted[]): Promise<void> {
    try {
      const what = 'the database to return rows that were too large for their notification';
      const rows = await withDeadline(this.query(batch), { ms: ROUND_TRIP_MS, what });
      batch.forEach(({ resolve }, position) => resolve(rows.get(position) ?? null));
    } catch (error) {
      if (batch.length > 1 && isErrorOfValue(error)) return this.loadHalves(batch);
      for (const { reject } of batch) reject(error);
    }
  }

  private async loadHalves(batch: readonly Wanted[]): Promise<void> {
    const middle = Math.floor(batch.length / 2);
    await this.loadBatch(batch.slice(0, middle));
    await this.loadBatch(batch.slice(middle));
  }

  /** Takes keys of one entity, each once, so that every change gets its own instance. */
  private takeBatch(): Wanted[] {
    const taken = new Map<string, Wanted>();
    const left: Wanted[] = [];
    const [first] = this.waiting;
    for (const wanted of this.waiting) {
      const key = JSON.stringify([...wanted.key]);
      if (wanted.target !== first?.target || taken.has(key) || taken.size === MAX_KEYS) left.push(wanted);
      else taken.set(key, wanted);
    }
    this.waiting = left;
    return [...taken.values()];
  }

  /**
   * Resolves with the rows by their position in the batch. The server compares the keys, because
   * texts of one key differ, and JavaScript values are not exact.
   */
  private async query(batch: readonly Wanted[]): Promise<ReadonlyMap<number, ObjectLiteral>> {
    const runner = this.dataSource.createQueryRunner('master'); // a replica may lag behind
    try {
      const query = runner.manager.createQueryBuilder(batch[0]?.target as EntityTarget<ObjectLiteral>, 'row');
      const conditions = batch.map(({ key }, position) => {
        const members = [...key].map(([column, text], index) => {
          const parameter = `key_${position}_${index}`;
          query.setParameter(parameter, text);
          return `"row".${quoteIdentifier(column)} = :${parameter}`;
        });
        return `(${members.join(' and ')})`;
      });
      const position = `case ${conditions.map((condition, at) => `when ${condition} then ${at}`).join(' ')} end`;
      query.withDeleted().where(conditions.join(' or ')).addSelect(position, 'pgpubsub_position');
      // no deadline: as the application's own queries
      const { raw, entities } = await query.getRawAndEntities<{ pgpubsub_position: unknown }>();
      return new Map(raw.map((row, at) => [Number(row.pgpubsub_position), entities[at] as ObjectLiteral]));
    } finally {
      await runner.release();
    }
  }
}
