import type { EntityManager } from 'typeorm';
import type { Notification } from '../channels/notification.js';
import type { JsonObject } from '../common/json.js';

/** The properties that all notifications of an instance share. */
export interface NotificationHost {
  /** Returns the DataSource's manager at the time of the call. */
  readonly manager: () => EntityManager;
  readonly signal: AbortSignal;
}

export type NotificationFactory = (
  channel: string,
  payload: unknown,
  context: JsonObject,
  processId: number,
) => Notification;

/**
 * Returns a factory of an instance's broadcasts. Shared properties are on their prototype: a
 * notification is small, prints and serializes as it was sent, and reads `manager` late, within a
 * transaction that the handler may have opened.
 */
export function createNotificationFactory(host: NotificationHost): NotificationFactory {
  class BroadcastNotification implements Notification {
    readonly id = null;
    readonly attempt = 1;
    readonly createdAt = null;

    constructor(
      readonly channel: string,
      readonly payload: unknown,
      readonly context: JsonObject,
      readonly processId: number,
    ) {}

    get manager(): EntityManager {
      return host.manager();
    }

    get signal(): AbortSignal {
      return host.signal;
    }
  }
  return (channel, payload, context, processId) =>
    new BroadcastNotification(channel, payload, context, processId);
}
