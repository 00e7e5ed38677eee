import type { Notification, NotificationBatch } from '../channels/notification.js';
import type { RetryOptions } from '../common/options.js';
import type { JsonObject } from '../common/json.js';

/** A listener of an exactly-once channel, with everything resolved. Its name is what rows remember. */
export interface StoredListener {
  readonly name: string;
  /** Gets all notifications of a claim at once. */
  readonly batch: boolean;
  /** How many of its handlers may interleave in one claim; 1: one after the other. */
  readonly concurrency: number;
  readonly retry: RetryOptions;
  /** Only notifications whose context contains this; the others are left to other processes. */
  readonly filter: JsonObject | undefined;
  /** Is it meant for this listener, by its operation? */
  readonly accepts: ((notification: Notification) => boolean) | undefined;
  readonly invoke: (
    notification: Notification | (NotificationBatch & { readonly payload: unknown }),
  ) => Promise<unknown>;
}
