import type { Notification } from '../../../lib/channels/notification.js';
import { ListenerQueue, type ListenerQueueOptions } from '../../../lib/dispatch/listener-queue.js';
import { broadcast, defer, recordEvents, settled, type Deferred } from '../support/recording.js';

/** A queue whose handlers are finished by hand. `started` contains the payloads of the calls. */
export function createQueue(options: Partial<ListenerQueueOptions> = {}) {
  const { events, report } = recordEvents();
  const started: unknown[] = [];
  const handlers: Deferred<unknown>[] = [];
  const invoke = ({ payload }: Notification) => {
    started.push(payload);
    const handler = defer<unknown>();
    handlers.push(handler);
    return handler.promise;
  };
  const buffer = { maxSize: 100, overflow: 'drop-oldest' } as const;
  const queue = new ListenerQueue({
    channel: 'orders', listener: 'Orders.receive', concurrency: 1, invoke, buffer, report, ...options,
  }); // prettier-ignore
  const push = (...payloads: unknown[]) => {
    for (const payload of payloads) queue.next(broadcast(payload));
  };
  const finish = async (index: number) => {
    handlers[index]?.resolve(undefined);
    await settled();
  };
  return { queue, events, started, handlers, push, finish };
}

export const handledOf = (count: number) => ({
  type: 'handled',
  channel: 'orders',
  listener: 'Orders.receive',
  count,
});
