import type { EntityManager } from 'typeorm';
import type { Notification, NotificationBatch } from '../channels/notification.js';
import type { JsonObject } from '../common/json.js';
import type { HandlerTransaction } from '../postgres/handler-transaction.js';
import type { RowFields } from './parse-row.js';

/** One delivery of a stored notification to one listener. */
export class ClaimedNotification implements Notification {
  readonly id: string;
  readonly processId: number;
  readonly #transaction: HandlerTransaction;
  readonly #createdAt: string;

  constructor(
    readonly channel: string,
    readonly payload: unknown,
    readonly context: JsonObject,
    fields: RowFields,
    readonly attempt: number,
    transaction: HandlerTransaction,
  ) {
    this.id = fields.id;
    this.processId = fields.processId;
    this.#transaction = transaction;
    this.#createdAt = fields.createdAt;
  }

  get createdAt(): Date {
    return new Date(Number(this.#createdAt) * 1_000);
  }

  get manager(): EntityManager {
    return this.#transaction.manager;
  }

  get signal(): AbortSignal {
    return this.#transaction.signal;
  }
}

/**
 * The notifications of a claim, for listeners with `batch: true`; `payload` is their first
 * argument.
 */
export class ClaimedBatch extends Array<Notification> implements NotificationBatch {
  static override get [Symbol.species](): ArrayConstructor {
    return Array; // map() and filter() return plain arrays
  }

  readonly #transaction: HandlerTransaction;

  constructor(notifications: readonly Notification[], transaction: HandlerTransaction) {
    super();
    this.push(...notifications);
    this.#transaction = transaction;
  }

  get payload(): unknown[] {
    return this.map(({ payload }) => payload);
  }

  get manager(): EntityManager {
    return this.#transaction.manager;
  }

  get signal(): AbortSignal {
    return this.#transaction.signal;
  }
}
