import type { EntityManager } from 'typeorm';
import type { Notification, NotificationBatch } from '../channels/notification.js';
import type { JsonObject } from '../common/json.js';
import type { HandlerSession } from './handler-session.js';
import type { StoredRow } from './stored-row.js';

/** One delivery of a stored notification to one listener. */
export class StoredNotification implements Notification {
  readonly id: string;
  readonly context: JsonObject;
  readonly processId: number;
  readonly #session: HandlerSession;
  readonly #createdAt: string;
  readonly #signal: AbortSignal;

  constructor(
    readonly channel: string,
    readonly payload: unknown,
    row: StoredRow,
    readonly attempt: number,
    session: HandlerSession,
    signal: AbortSignal,
  ) {
    this.id = row.id;
    this.context = row.context;
    this.processId = row.processId;
    this.#session = session;
    this.#createdAt = row.createdAt;
    this.#signal = signal;
  }

  get createdAt(): Date {
    return new Date(Number(this.#createdAt) * 1_000);
  }

  get manager(): EntityManager {
    return this.#session.manager;
  }

  get signal(): AbortSignal {
    return this.#signal;
  }
}

/** All of a claim, for a listener with `batch: true`. `payload` is what the listener gets as its first argument. */
export class StoredBatch extends Array<Notification> implements NotificationBatch {
  static override get [Symbol.species](): ArrayConstructor {
    return Array; // what map() and filter() return are ordinary arrays
  }

  readonly #session: HandlerSession;
  readonly #signal: AbortSignal;

  constructor(notifications: readonly Notification[], session: HandlerSession, signal: AbortSignal) {
    super();
    this.push(...notifications);
    this.#session = session;
    this.#signal = signal;
  }

  get payload(): unknown[] {
    return this.map(({ payload }) => payload);
  }

  get manager(): EntityManager {
    return this.#session.manager;
  }

  get signal(): AbortSignal {
    return this.#signal;
  }
}
