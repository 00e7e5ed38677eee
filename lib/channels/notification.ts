import type { EntityManager } from 'typeorm';
import type { JsonObject } from '../common/json.js';

/** A notification as it came off the wire. */
export interface RawNotification {
  readonly channel: string;
  readonly text: string;
  readonly processId: number;
}

/**
 * One delivery: the payload and what is known about it. Listeners of a channel share the payload: treat it as
 * read-only.
 */
export interface Notification<T = unknown> {
  readonly channel: string;
  readonly payload: T;
  /** Identity of a stored notification, the idempotency key for effects outside the database; `null` for broadcasts. */
  readonly id: string | null;
  /** What travelled beside the payload (tenant, trace); `{}` when nothing did. */
  readonly context: JsonObject;
  /** 1 the first time. */
  readonly attempt: number;
  /** When it was stored; `null` for broadcasts, which carry no time. */
  readonly createdAt: Date | null;
  /** PostgreSQL's process id of the session that sent it. */
  readonly processId: number;
  /**
   * Exactly-once: of the transaction that also acknowledges. Broadcast: the DataSource's.
   */
  readonly manager: EntityManager;
  /**
   * Aborted when the application closes and `shutdownTimeoutMs` has passed. Exactly-once: also when the handler has run
   * for `timeoutMs`.
   */
  readonly signal: AbortSignal;
}

/**
 * What a listener with `batch: true` gets: the notifications of a claim, in order, and what they share. Read-only.
 */
export interface NotificationBatch<T = unknown> extends ReadonlyArray<Notification<T>> {
  /** Of the transaction that also acknowledges all of them. */
  readonly manager: EntityManager;
  /** Aborted when the handler has run for `timeoutMs`, or the application closes and `shutdownTimeoutMs` has passed. */
  readonly signal: AbortSignal;
}

/** The argument of a listener: a notification, or with `batch: true` all of a claim, whose `payload` is the list of theirs. */
export type Delivered = Notification | (NotificationBatch & { readonly payload: unknown });

/** A call of a listener's method. Returns a promise if the method does. */
export type Invoke = (delivered: Delivered) => unknown;
