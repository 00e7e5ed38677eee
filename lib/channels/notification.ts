import type { EntityManager } from 'typeorm';
import type { JsonObject } from '../common/json.js';

/** A notification as received from the server. */
export interface RawNotification {
  readonly channel: string;
  readonly text: string;
  readonly processId: number;
}

/** One delivery. Listeners of a channel share the payload: treat it as read-only. */
export interface Notification<T = unknown> {
  readonly channel: string;
  readonly payload: T;
  /** The id of a stored notification, an idempotency key outside of the database; else `null`. */
  readonly id: string | null;
  /** Data sent beside the payload (tenant, trace); `{}` without any. */
  readonly context: JsonObject;
  /** The number of the attempt, from 1. */
  readonly attempt: number;
  /** When it was stored; `null` for broadcasts, which have no time. */
  readonly createdAt: Date | null;
  /** PostgreSQL's process id of the sending session. */
  readonly processId: number;
  /** Exactly-once: the manager of the acknowledging transaction. Broadcast: the DataSource's. */
  readonly manager: EntityManager;
  /**
   * Aborted when the application closes and `shutdownTimeoutMs` has passed. Exactly-once: also when
   * the handler has run for `timeoutMs`.
   */
  readonly signal: AbortSignal;
}

/** The notifications of a claim, in order, for a listener with `batch: true`. Read-only. */
export interface NotificationBatch<T = unknown> extends ReadonlyArray<Notification<T>> {
  /** The manager of the transaction that acknowledges all of them. */
  readonly manager: EntityManager;
  /** Aborted on timeout and at shutdown, as `signal` of {@link Notification}. */
  readonly signal: AbortSignal;
}

/**
 * The argument of a listener: a notification, or with `batch: true` those of a claim with the list
 * of their payloads as `payload`.
 */
export type Delivered = Notification | (NotificationBatch & { readonly payload: unknown });

/** Calls the method of a listener. Returns a promise if the method does. */
export type Invoke = (delivered: Delivered) => unknown;
