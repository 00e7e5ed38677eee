import type { JsonObject, JsonValue } from '../common/json.js';
import { explainMissing } from '../storage/missing.js';
import { rejectRetry } from './refused-retry.js';
import { retryDeadLetters } from './retry.sql.js';
import { findRetryable } from './retryable-dead-letters.js';
import { StoredConditions, type StoredConditionsOptions } from './stored-conditions.js';
import { assertFilter, type Conditions, type StoredFilter } from './stored-filter.js';
import {
  countPending,
  discardDeadLetters,
  pageDeadLetters,
  pagePending,
  purgePending,
  readLargeDeadLetter,
  readLargePayload,
} from './stored.sql.js';

/** A stored notification that is pending for at least one listener. */
export interface PendingNotification {
  readonly id: string;
  readonly channel: string;
  /** The JSON value as stored; `undefined` for none. */
  readonly payload: JsonValue | undefined;
  readonly context: JsonObject;
  readonly key: string | null;
  readonly createdAt: Date;
  /** The time at which it is due: in the future if it was sent with a delay or is to be retried. */
  readonly availableAt: Date;
  /** The number of attempts so far. */
  readonly attempts: number;
  /** The listeners that have handled it or given up. */
  readonly handledBy: readonly string[];
  /** Message and stack of the last error; `null` before the first. */
  readonly lastError: string | null;
  /** The newest migration that had been executed when it was stored. */
  readonly schemaVersion: string | null;
}

/** A stored notification that one listener has given up. */
export interface DeadLetter extends PendingNotification {
  readonly listener: string;
  readonly diedAt: Date;
}

const PAGE_SIZE = 200;

/** A row of a statement of `stored.sql.ts`. */
type Row = Readonly<Record<string, string | null>> & { readonly is_large?: boolean };

/**
 * Reads, counts, retries and deletes stored notifications and dead letters: `pubsub.stored`. Reads
 * page by page, and holds no connection in between. Every method rejects with `INVALID_ARGUMENT`
 * for an invalid filter, and with `STORAGE_MISSING` if the tables do not exist. Methods that change
 * rows require a filter; `{}` selects all.
 *
 * no deadline: a call of the application, limited by the options of its DataSource
 */
export class StoredNotifications {
  private readonly conditions: StoredConditions;

  /** @internal Applications get it from the service. */
  constructor(private readonly options: StoredConditionsOptions) {
    this.conditions = new StoredConditions(options);
  }

  /** Yields the pending notifications, oldest first, as they are when their page is read. */
  async *pending(filter: StoredFilter = {}): AsyncGenerator<PendingNotification, void, undefined> {
    const { schema } = this.options.storage();
    const where = await this.conditions.ofPending(filter, 'pending', 2);
    const sql = pagePending(schema, where.sql, PAGE_SIZE);
    const large = readLargePayload(schema);
    for (let rows = await this.query(sql, ['0', ...where.parameters]); rows.length > 0;) {
      for (const row of rows) yield pendingOf(row, await this.payloadOf(row, large, [row['id']]));
      rows = rows.length < PAGE_SIZE ? [] : await this.query(sql, [rows.at(-1)?.['id'], ...where.parameters]);
    }
  }

  /** Yields the dead letters, oldest first: one for each notification and listener. */
  async *deadLetters(filter: StoredFilter = {}): AsyncGenerator<DeadLetter, void, undefined> {
    const { schema } = this.options.storage();
    const where = await this.conditions.ofDead(filter, 'deadLetters', 4);
    const sql = pageDeadLetters(schema, where.sql, PAGE_SIZE);
    const large = readLargeDeadLetter(schema);
    const keyOf = (row: Row | undefined) => [row?.['id'], row?.['listener'], row?.['letter']];
    for (let rows = await this.query(sql, ['0', '', '0', ...where.parameters]); rows.length > 0;) {
      for (const row of rows) yield deadLetterOf(row, await this.payloadOf(row, large, keyOf(row)));
      const isLast = rows.length < PAGE_SIZE;
      rows = isLast ? [] : await this.query(sql, [...keyOf(rows.at(-1)), ...where.parameters]);
    }
  }

  /** Resolves with the number of pending notifications. */
  async count(filter: StoredFilter = {}): Promise<number> {
    const where = await this.conditions.ofPending(filter, 'count', 1);
    return this.countOf(countPending, where);
  }

  /**
   * Makes dead letters pending again, for their listener alone and with all attempts; resolves with
   * their number. Skips letters whose listener neither this application nor another running process
   * has, because they would stay pending indefinitely; the event `retry-refused` names them. While
   * no process is known, retries all. Rejects with `COMPLETION_REFUSED`, and changes nothing, if
   * the database does not take back all letters.
   */
  async retry(filter: StoredFilter): Promise<number> {
    assertFilter(filter, 'retry');
    const where = await this.conditions.ofDead(filter, 'retry', 1);
    const { restrict, left } = await findRetryable(this.options, where);
    const count = await this.countOf(retryDeadLetters, restrict(where, 1)).catch(rejectRetry);
    for (const letters of left) this.options.report?.({ type: 'retry-refused', ...letters });
    return count;
  }

  /** Deletes dead letters; resolves with their number. */
  async discard(filter: StoredFilter): Promise<number> {
    assertFilter(filter, 'discard');
    return this.countOf(discardDeadLetters, await this.conditions.ofDead(filter, 'discard', 1));
  }

  /**
   * Deletes pending notifications without handling them; resolves with their number. Skips those
   * that are being handled.
   */
  async purge(filter: StoredFilter): Promise<number> {
    assertFilter(filter, 'purge');
    return this.countOf(purgePending, await this.conditions.ofPending(filter, 'purge', 1));
  }

  private async countOf(
    statement: (schema: string, where: string) => string,
    where: Conditions,
  ): Promise<number> {
    const rows = await this.query(statement(this.options.storage().schema, where.sql), where.parameters);
    return Number(rows[0]?.['count']);
  }

  /** Resolves with the payload of a row; `large` reads a large one by the row's key. */
  private async payloadOf(row: Row, large: string, key: readonly unknown[]): Promise<JsonValue | undefined> {
    const json = row.is_large ? (await this.query(large, key))[0]?.['payload'] : row['payload'];
    return json === null || json === undefined ? undefined : (JSON.parse(json) as JsonValue);
  }

  private async query(sql: string, parameters: readonly unknown[]): Promise<Row[]> {
    try {
      return await this.options.dataSource.manager.query(sql, [...parameters]);
    } catch (error) {
      throw explainMissing(error);
    }
  }
}

const pendingOf = (row: Row, payload: JsonValue | undefined): PendingNotification => ({
  id: row['id'] ?? '',
  channel: row['channel'] ?? '',
  payload,
  context: JSON.parse(row['context'] ?? '{}') as JsonObject,
  key: row['key'] ?? null,
  createdAt: new Date(Number(row['created_ms'])),
  availableAt: new Date(Number(row['available_ms'])),
  attempts: Number(row['attempts']),
  handledBy: JSON.parse(row['handled_by'] ?? '[]') as string[],
  lastError: row['last_error'] ?? null,
  schemaVersion: row['schema_version'] ?? null,
});

const deadLetterOf = (row: Row, payload: JsonValue | undefined): DeadLetter => ({
  ...pendingOf(row, payload),
  listener: row['listener'] ?? '',
  diedAt: new Date(Number(row['died_ms'])),
});
