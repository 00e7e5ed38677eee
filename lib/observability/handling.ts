import type { Notification, NotificationBatch } from '../channels/notification.js';
import type { Invoke } from '../listeners/listener.invoker.js';

/** A call of a listener's method. */
export type Handle = Invoke;

/** What it is called with: a notification, or with `batch: true` all of a claim. */
export type Handled = Parameters<Handle>[0];

/** Whose call it is. */
export interface HandledBy {
  readonly channel: string;
  readonly listener: string;
}

export const isBatch = (handled: Handled): handled is NotificationBatch & { readonly payload: unknown } =>
  Array.isArray(handled);

/** One by one. */
export const notificationsOf = (handled: Handled): readonly Notification[] =>
  isBatch(handled) ? handled : [handled];
