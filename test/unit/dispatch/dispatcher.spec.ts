import { take } from 'rxjs';
import { describe, expect, it, vi } from 'vitest';
import { z } from 'zod';
import { defineChannel, type ChannelDefinition } from '../../../lib/channels/channel.definition.js';
import { ChannelRegistry } from '../../../lib/channels/channel.registry.js';
import { Dispatcher } from '../../../lib/dispatch/dispatcher.js';
import { createNotification, recordEvents, settled } from '../support/recording.js';

const orders = defineChannel('orders');
const payments = defineChannel('payments');

function createDispatcher() {
  const { events, report } = recordEvents();
  const calls: string[] = [];
  const registry = new ChannelRegistry();
  const dispatcher = new Dispatcher({
    listen: (channel) => void calls.push(`listen ${channel}`),
    unlisten: (channel) => void calls.push(`unlisten ${channel}`),
    channels: registry,
    createNotification,
    buffer: { maxSize: 10, overflow: 'drop-oldest' },
    report,
  });
  const receive = (channel: string, ...texts: string[]) => {
    for (const text of texts) dispatcher.receive({ channel, text, processId: 42 });
  };
  const collect = (definition: ChannelDefinition) => {
    const payloads: unknown[] = [];
    const completed = vi.fn<() => void>();
    const subscription = dispatcher
      .observe(definition)
      .subscribe({ next: ({ payload }) => payloads.push(payload), complete: completed });
    return { payloads, subscription, completed };
  };
  return { dispatcher, registry, events, calls, receive, collect };
}

describe('Dispatcher.observe()', () => {
  it('listens for the first receiver of a channel and unlistens after the last', () => {
    const { calls, collect } = createDispatcher();
    const [first, second] = [collect(orders), collect(orders)];
    expect(calls).toEqual(['listen orders']);

    first.subscription.unsubscribe();
    expect(calls).toEqual(['listen orders']);

    second.subscription.unsubscribe();
    expect(calls).toEqual(['listen orders', 'unlisten orders']);
  });

  it('does nothing before a subscription', () => {
    const { dispatcher, calls } = createDispatcher();
    dispatcher.observe(orders);

    expect(calls).toEqual([]);
  });

  it('listens again for a receiver that comes after the last one left', async () => {
    const { calls, collect, receive } = createDispatcher();
    collect(orders).subscription.unsubscribe();
    const { payloads } = collect(orders);
    receive('orders', '1');
    await settled();

    expect(calls).toEqual(['listen orders', 'unlisten orders', 'listen orders']);
    expect(payloads).toEqual([1]);
  });

  it('counts a receiver that unsubscribes twice only once', () => {
    const { calls, collect } = createDispatcher();
    const { subscription } = collect(orders);
    collect(orders);
    subscription.unsubscribe();
    subscription.unsubscribe();

    expect(calls).toEqual(['listen orders']);
  });

  it('keeps channels apart', async () => {
    const { calls, collect, receive } = createDispatcher();
    const [toOrders, toPayments] = [collect(orders), collect(payments)];
    receive('payments', '1');
    receive('orders', '2');
    await settled();
    toOrders.subscription.unsubscribe();

    expect(toOrders.payloads).toEqual([2]);
    expect(toPayments.payloads).toEqual([1]);
    expect(calls).toEqual(['listen orders', 'listen payments', 'unlisten orders']);
  });
});

describe('Dispatcher.receive()', () => {
  it('passes the same notification to every receiver of the channel, in order', async () => {
    const { dispatcher, receive } = createDispatcher();
    const first: unknown[] = [];
    const second: unknown[] = [];
    dispatcher.observe(orders).subscribe((notification) => first.push(notification));
    dispatcher.observe(orders).subscribe((notification) => second.push(notification));
    receive('orders', '1', '{"pgpubsub":1,"context":{"tenant":"a"},"payload":2}', 'three');
    await settled();

    expect(first).toMatchObject([
      { channel: 'orders', payload: 1, context: {}, processId: 42 },
      { channel: 'orders', payload: 2, context: { tenant: 'a' }, processId: 42 },
      { channel: 'orders', payload: 'three', context: {}, processId: 42 },
    ]);
    expect(second.map((notification, index) => notification === first[index])).toEqual([true, true, true]);
  });

  it('reports the number of notifications per channel in one chunk of the socket', async () => {
    const { collect, receive, events } = createDispatcher();
    collect(orders);
    collect(orders);
    collect(payments);
    receive('orders', '1', '2');
    receive('payments', '3');
    receive('orders', '4');
    receive('unheard', '5');
    await settled();
    receive('orders', '6');
    await settled();

    expect(events).toEqual([
      { type: 'received', channel: 'orders', count: 3 },
      { type: 'received', channel: 'payments', count: 1 },
      { type: 'received', channel: 'orders', count: 1 },
    ]);
  });

  it('runs no receiver on the stack of its caller', async () => {
    const { collect, receive } = createDispatcher();
    const { payloads } = collect(orders);
    receive('orders', '1');
    expect(payloads).toEqual([]);

    await Promise.resolve();
    expect(payloads).toEqual([1]);
  });

  it('accepts a notification that arrives while others are passed on', async () => {
    const { dispatcher, collect, receive } = createDispatcher();
    dispatcher
      .observe(orders)
      .pipe(take(1))
      .subscribe(() => receive('orders', '3'));
    const { payloads } = collect(orders);
    receive('orders', '1', '2');
    await settled();

    expect(payloads).toEqual([1, 2, 3]);
  });

  it('drops a notification without a receiver', async () => {
    const { receive, events } = createDispatcher();
    receive('orders', '1');
    await settled();

    expect(events).toEqual([]);
  });

  it('passes no pending notification to a receiver that has left', async () => {
    const { collect, receive } = createDispatcher();
    const { payloads, subscription } = collect(orders);
    receive('orders', '1');
    subscription.unsubscribe();
    await settled();

    expect(payloads).toEqual([]);
  });

  it('does not decode when all receivers have left', async () => {
    const { collect, receive, events } = createDispatcher();
    collect(defineChannel('orders', { schema: z.number() })).subscription.unsubscribe();
    receive('orders', '"not a number"');
    await settled();

    expect(events).toEqual([]);
  });

  it('passes the rest of a burst to a receiver that leaves and comes back', async () => {
    const { dispatcher, collect, receive } = createDispatcher();
    const later: unknown[] = [];
    dispatcher
      .observe(orders)
      .pipe(take(1))
      .subscribe({ complete: () => void later.push(collect(orders).payloads) });
    receive('orders', '1', '2', '3');
    await settled();

    expect(later).toEqual([[2, 3]]);
  });

  it('uses a definition that became known after the subscription to the name', async () => {
    const { registry, collect, receive } = createDispatcher();
    const { payloads } = collect(registry.resolve('orders'));
    registry.resolve(defineChannel<number>('orders', { codec: { encode: String, decode: Number } }));
    receive('orders', '"7"');
    await settled();

    expect(payloads).toEqual([7]);
  });
});

describe('Dispatcher.attach()', () => {
  it('listens for the first receiver, unlistens after the last, and counts one that leaves twice only once', () => {
    const { dispatcher, calls } = createDispatcher();
    const receiver = () => ({ next: () => undefined, complete: () => undefined });
    const leave = dispatcher.attach(orders, receiver());
    const leaveLast = dispatcher.attach(orders, receiver());
    leave();
    leave();
    expect(calls).toEqual(['listen orders']);

    leaveLast();
    expect(calls).toEqual(['listen orders', 'unlisten orders']);
  });

  it('remembers names that have no definition only while they have receivers', () => {
    const { dispatcher, registry } = createDispatcher();
    const name = registry.resolve('made up');
    const leave = dispatcher.attach(name, { next: () => undefined, complete: () => undefined });
    expect(registry.resolve('made up')).toBe(name);

    leave();
    expect(registry.resolve('made up')).not.toBe(name);
    expect(registry.find('made up')).toBeUndefined();
  });
});

describe('Dispatcher with an entity', () => {
  it('decodes only the channel of the entity with its decoder', async () => {
    const { registry, collect, receive } = createDispatcher();
    registry.acquire(orders).useEntities((text) => ({ payload: `row ${text}`, context: {} }));
    const [toOrders, toPayments] = [collect(orders), collect(payments)];
    receive('orders', '1');
    receive('payments', '1');
    await settled();

    expect(toOrders.payloads).toEqual(['row 1']);
    expect(toPayments.payloads).toEqual([1]);
  });
});

describe('Dispatcher.close()', () => {
  it('completes every receiver', () => {
    const { dispatcher, collect } = createDispatcher();
    const receivers = [collect(orders), collect(orders), collect(payments)];
    dispatcher.close();

    for (const { completed } of receivers) expect(completed).toHaveBeenCalledOnce();
  });

  it('discards pending notifications', async () => {
    const { dispatcher, collect, receive } = createDispatcher();
    const { payloads } = collect(orders);
    receive('orders', '1');
    dispatcher.close();
    receive('orders', '2');
    await settled();

    expect(payloads).toEqual([]);
  });

  it('passes nothing more to receivers, not even a notification that is being decoded', async () => {
    const { dispatcher, receive } = createDispatcher();
    const received: unknown[] = [];
    const slow = z.string().refine(() => Promise.resolve(true));
    const receiver = { next: (one: unknown) => received.push(one), complete: () => undefined };
    dispatcher.attach(orders, receiver);
    dispatcher.attach(defineChannel('payments', { schema: slow }), receiver);
    receive('payments', '"decoded"');
    await Promise.resolve();
    dispatcher.close();
    receive('orders', '1');
    await settled();

    expect(received).toEqual([]);
  });

  it('completes later receivers at once, without listening', () => {
    const { dispatcher, collect, calls } = createDispatcher();
    dispatcher.close();

    expect(collect(orders).completed).toHaveBeenCalledOnce();
    expect(calls).toEqual([]);
  });
});
