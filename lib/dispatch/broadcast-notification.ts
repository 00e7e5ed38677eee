import type { EntityManager } from 'typeorm';
import type { Notification } from '../channels/notification.js';
import type { JsonObject } from '../common/json.js';

/** What every notification of an instance shares. */
export interface NotificationHost {
  /** The DataSource's manager, as it is at the time of the call. */
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
 * The class of an instance's broadcasts. What they share stands on the prototype: a notification is small, prints
 * and serialises as what was sent, and reads `manager` late, within a transaction the handler may have opened.
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
