import type { Conditions, StoredFilter } from './stored-filter.js';
import type { CountedListener } from './live-listeners.js';
import { rejectRetry } from './refused-retry.js';
import { retryDeadLetters } from './retry.sql.js';
import { ALL_DEAD_LETTERS, findRetryable } from './retryable-dead-letters.js';
import { StoredConditions, type StoredConditionsOptions } from './stored-conditions.js';
import { countDeadLetters, discardDeadLetters, readEndOfBatch, readServerTimeAsText } from './stored.sql.js';

/** The number of dead letters in one transaction. */
const BATCH_SIZE = 1_000;

/** The primary key of the table of dead letters. */
type Key = readonly [id: string, listener: string, letter: string];

/**
 * Retries or discards dead letters in batches, each in a transaction of its own. One transaction
 * for many would lock and write for minutes, and an interruption would undo all of it. Walks along
 * the primary key, so no batch reads rows that earlier batches deleted. Skips letters that are
 * added after the start, so none is retried twice. Owned by its caller; holds no connection between
 * two batches.
 *
 * no deadline: a call of the application, limited by the options of its DataSource
 */
export class DeadLetterBatches {
  private constructor(
    private readonly options: StoredConditionsOptions,
    /** Their parameters start at $4. */
    private readonly conditions: Conditions,
    /** The number of letters at the start, without `left`. */
    readonly total: number,
    /** The letters that stay, because no running process has their listener. */
    readonly left: readonly CountedListener[],
  ) {}

  /** Counts the letters. With `isRetry`, letters whose listener no running process has stay. */
  static async begin(
    options: StoredConditionsOptions,
    filter: StoredFilter,
    isRetry = false,
  ): Promise<DeadLetterBatches> {
    const { manager } = options.dataSource;
    const [time] = await manager.query<{ now: string }[]>(readServerTimeAsText);
    const conditionsFrom = async (first: number): Promise<Conditions> => {
      const where = await new StoredConditions(options).ofDead(filter, 'deadLetters', first + 1);
      return {
        sql: `n.died_at <= $${first}::timestamptz and ${where.sql}`,
        parameters: [time?.now, ...where.parameters],
      };
    };
    const all = await conditionsFrom(1);
    const { restrict, left } = isRetry ? await findRetryable(options, all) : ALL_DEAD_LETTERS;
    const { sql, parameters } = restrict(all, 1);
    const count = countDeadLetters(options.storage().schema, sql);
    const [found] = await manager.query<{ count: string }[]>(count, [...parameters]);
    return new DeadLetterBatches(options, restrict(await conditionsFrom(4), 4), Number(found?.count), left);
  }

  /** Retries the letters as `StoredNotifications.retry()` does; yields the number of each batch. */
  async *retry(): AsyncGenerator<number, void, undefined> {
    try {
      yield* this.walk(retryDeadLetters);
    } catch (error) {
      rejectRetry(error);
    }
  }

  /** Deletes the letters; yields the number of each batch. */
  discard(): AsyncGenerator<number, void, undefined> {
    return this.walk(discardDeadLetters);
  }

  private async *walk(
    statement: (schema: string, where: string) => string,
  ): AsyncGenerator<number, void, undefined> {
    const { schema } = this.options.storage();
    const { sql, parameters } = this.conditions;
    const key = '(n.id, n.listener, n.letter)';
    const after = `${key} > ($1::bigint, $2::text, $3::bigint) and ${sql}`;
    const [id, listener, letter] = [4, 5, 6].map((position) => `$${parameters.length + position}`);
    const upTo = `${key} <= (${id}::bigint, ${listener}::text, ${letter}::bigint)`;
    let last: Key = ['0', '', '0'];
    for (;;) {
      const end = await this.endOfBatch(last, after);
      if (end === undefined) return;
      const batch = statement(schema, `${after} and ${upTo}`);
      const [found] = await this.query<{ count: string }>(batch, [...last, ...parameters, ...end]);
      yield Number(found?.count);
      last = end;
    }
  }

  private async endOfBatch(last: Key, where: string): Promise<Key | undefined> {
    const sql = readEndOfBatch(this.options.storage().schema, where, BATCH_SIZE);
    const [end] = await this.query<{ id: string; listener: string; letter: string }>(sql, [
      ...last,
      ...this.conditions.parameters,
    ]);
    return end && [end.id, end.listener, end.letter];
  }

  private query<Row>(sql: string, parameters: unknown[]): Promise<Row[]> {
    return this.options.dataSource.manager.query(sql, parameters);
  }
}
