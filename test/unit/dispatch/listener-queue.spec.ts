import { afterEach, describe, expect, it, vi } from 'vitest';
import type { Notification } from '../../../lib/channels/notification.js';
import { defer, settled } from '../support/recording.js';
import { createQueue, handledOf } from './listener-queue.fixtures.js';

describe('ListenerQueue', () => {
  it('runs one handler after the other, in order', async () => {
    const { push, started, finish, queue } = createQueue();
    push(1, 2, 3);
    expect(started).toEqual([1]);

    await finish(0);
    expect(started).toEqual([1, 2]);

    push(4);
    await finish(1);
    await finish(2);
    expect(started).toEqual([1, 2, 3, 4]);

    await finish(3);
    expect(queue.isRunning).toBe(false);
  });

  it('runs at most "concurrency" handlers at once', async () => {
    const { push, started, finish } = createQueue({ concurrency: 3 });
    push(1, 2, 3, 4, 5);
    expect(started).toEqual([1, 2, 3]);

    await finish(1);
    expect(started).toEqual([1, 2, 3, 4]);

    await finish(0);
    await finish(2);
    push(6, 7);
    expect(started).toEqual([1, 2, 3, 4, 5, 6]);
  });

  it('handles each of many notifications once', async () => {
    const handled: unknown[] = [];
    const invoke = async ({ payload }: Notification) => {
      await Promise.resolve();
      handled.push(payload);
    };
    const { push, queue } = createQueue({ invoke, buffer: { maxSize: 5_000, overflow: 'error' } });
    const payloads = Array.from({ length: 5_000 }, (_, index) => index);
    push(...payloads);
    while (queue.isRunning) await settled();

    expect(handled).toEqual(payloads);
  });

  it.each([
    ['throws', () => { throw new Error('boom'); }],
    ['rejects', () => Promise.reject(new Error('boom'))],
  ])('reports a handler that %s, and runs the next one', async (_how, fail) => {
    const handled: unknown[] = [];
    const invoke = ({ payload }: Notification) =>
      payload === 'bad' ? fail() : Promise.resolve(handled.push(payload));
    const { push, events, queue } = createQueue({ invoke });
    push('bad', 'good');
    await settled();

    expect(handled).toEqual(['good']);
    expect(queue.isRunning).toBe(false);
    expect(events).toEqual([
      { type: 'failed', channel: 'orders', listener: 'Orders.receive', error: new Error('boom') },
      handledOf(1),
    ]);
  }); // prettier-ignore

  it('reports the number of handled notifications when nothing more waits', async () => {
    const { push, events, finish } = createQueue({ concurrency: 2 });
    push(1, 2, 3);
    await finish(0);
    await finish(1);
    expect(events).toEqual([handledOf(2)]);

    await finish(2);
    expect(events).toEqual([handledOf(2), handledOf(1)]);
  });

  it('keeps handling others beside a handler that never settles', async () => {
    const { push, started, finish } = createQueue({ concurrency: 2 });
    push('stuck', 1, 2, 3);
    await finish(1);
    await finish(2);

    expect(started).toEqual(['stuck', 1, 2, 3]);
  });
});

describe('ListenerQueue with handlers that never wait', () => {
  afterEach(() => vi.restoreAllMocks());

  it.each([
    [
      'yields to timers and sockets after 50 ms of CPU time, and keeps the order',
      1,
      [1, 2, 3, 'a turn', 4, 5],
    ],
    ['does not yield when it did not use the CPU time', 0, [1, 2, 3, 4, 5, 'a turn']],
  ])('%s', async (_, share, expected) => {
    let now = 0;
    vi.spyOn(performance, 'now').mockImplementation(() => now);
    const used = vi.spyOn(process, 'cpuUsage');
    used.mockImplementation((before) => ({ user: now * share * 1_000 - (before?.user ?? 0), system: 0 }));
    const seen: unknown[] = [];
    const invoke = ({ payload }: Notification) => {
      now += 20;
      return Promise.resolve(seen.push(payload));
    };
    const { push, events } = createQueue({ invoke });
    setImmediate(() => seen.push('a turn'));
    push(1, 2, 3, 4, 5);
    await settled();
    await settled();

    expect(seen).toEqual(expected);
    expect(events).toEqual([handledOf(3), handledOf(2)]);
    vi.restoreAllMocks();
  });
});

describe('ListenerQueue with a method that returns no promise', () => {
  it('handles all waiting notifications in one turn, in order, and reports them once', async () => {
    const handled: unknown[] = [];
    const { push, queue, events } = createQueue({ invoke: ({ payload }) => handled.push(payload) });
    push(1, 2, 3);
    expect(handled).toEqual([1]);
    await Promise.resolve();
    expect(handled).toEqual([1, 2, 3]);

    await settled();
    expect(queue.isRunning).toBe(false);
    expect(events).toEqual([handledOf(3)]);
  });

  it('skips notifications that its listener does not accept', async () => {
    const handled: unknown[] = [];
    const { push } = createQueue({
      accepts: ({ payload }) => payload !== 2,
      invoke: ({ payload }) => handled.push(payload),
    });
    push(1, 2, 3);
    await settled();

    expect(handled).toEqual([1, 3]);
  });

  it('waits for thenables', async () => {
    const { promise, resolve } = defer();
    // oxlint-disable-next-line unicorn/no-thenable -- like a promise of another library
    const thenable = { then: promise.then.bind(promise) };
    const { push, queue } = createQueue({ invoke: () => thenable });
    push(1);
    await settled();
    expect(queue.isRunning).toBe(true);

    resolve();
    await settled();
    expect(queue.isRunning).toBe(false);
  });
});

describe('ListenerQueue with a full buffer', () => {
  const fillUp = (overflow: 'drop-oldest' | 'drop-newest' | 'error') => {
    const created = createQueue({ buffer: { maxSize: 2, overflow } });
    created.push('running', 1, 2, 3, 4);
    return created;
  };
  const dropped = (total: number) => ({
    type: 'dropped', channel: 'orders', receiver: 'Orders.receive', total,
  }); // prettier-ignore
  const overflown = {
    type: 'failed',
    channel: 'orders',
    listener: 'Orders.receive',
    error: expect.objectContaining({
      code: 'BUFFER_OVERFLOW',
      message: expect.stringContaining('at most 2 notifications to wait on channel "orders"') as string,
    }) as Error,
  };

  it.each([
    ['drop-oldest', ['running', 3, 4], [dropped(1), dropped(2)]],
    ['drop-newest', ['running', 1, 2], [dropped(1), dropped(2)]],
    ['error', ['running', 1, 2], [overflown, dropped(1), overflown, dropped(2)]],
  ] as const)('applies "%s" and counts the dropped notifications', async (overflow, handled, reported) => {
    const { events, started, finish } = fillUp(overflow);
    expect(events).toEqual(reported);

    for (const index of [0, 1, 2]) await finish(index);
    expect(started).toEqual(handled);
  });

  it('accepts notifications again as soon as there is room', async () => {
    const { push, events, finish, started } = fillUp('drop-newest');
    await finish(0);
    push(5);
    for (const index of [1, 2, 3]) await finish(index);

    expect(started).toEqual(['running', 1, 2, 5]);
    expect(events).toEqual([dropped(1), dropped(2), handledOf(4)]);
  });
});
