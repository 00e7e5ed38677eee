import { setImmediate as turn } from 'node:timers/promises';
import type { Notification } from '../../../lib/channels/notification.js';
import { PgPubSubError, messageOf } from '../../../lib/common/errors.js';
import type { PubSubEvent, ReportEvent } from '../../../lib/common/events.js';
import { createNotificationFactory } from '../../../lib/dispatch/broadcast-notification.js';

/** Returns a `report` function and the events that it received. */
export function recordEvents(): { events: PubSubEvent[]; report: ReportEvent } {
  const events: PubSubEvent[] = [];
  return { events, report: (event) => void events.push(event) };
}

export const createNotification = createNotificationFactory({
  manager: () => {
    throw new Error('these tests have no database');
  },
  signal: new AbortController().signal,
});

/** A broadcast as receivers get it. */
export const broadcast = (payload: unknown, channel = 'orders'): Notification =>
  createNotification(channel, payload, {}, 1);

/** Waits one turn of the event loop. */
export const settled = (): Promise<unknown> => turn();

/** Returns the value that `act` throws. */
export function thrownBy(act: () => unknown): unknown {
  try {
    act();
  } catch (error) {
    return error;
  }
  throw new Error('expected it to throw');
}

/** The code and the message of the error that `act` throws. */
export function rejectionOf(act: () => unknown): string {
  try {
    act();
  } catch (error) {
    return `${error instanceof PgPubSubError ? error.code : ''}: ${messageOf(error)}`;
  }
  return 'nothing was rejected';
}

/** A promise that is settled by hand. */
export interface Deferred<T> {
  readonly promise: Promise<T>;
  resolve(value: T): void;
  reject(error: unknown): void;
}

export function defer<T = void>(): Deferred<T> {
  let settle: Omit<Deferred<T>, 'promise'> | undefined;
  const promise = new Promise<T>((resolve, reject) => (settle = { resolve, reject }));
  if (settle === undefined) throw new Error('a promise runs its executor at once');
  return { promise, ...settle };
}
