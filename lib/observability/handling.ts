import type { Delivered, Notification, NotificationBatch } from '../channels/notification.js';

export interface HandledBy {
  readonly channel: string;
  readonly listener: string;
}

export const isBatch = (
  delivered: Delivered,
): delivered is NotificationBatch & { readonly payload: unknown } => Array.isArray(delivered);

export const notificationsOf = (delivered: Delivered): readonly Notification[] =>
  isBatch(delivered) ? delivered : [delivered];
