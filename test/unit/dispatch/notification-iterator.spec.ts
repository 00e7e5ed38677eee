import { EMPTY, Subject } from 'rxjs';
import { describe, expect, it } from 'vitest';
import type { Notification } from '../../../lib/channels/notification.js';
import type { OverflowPolicy } from '../../../lib/common/overflow.js';
import { NotificationIterator } from '../../../lib/dispatch/notification-iterator.js';
import { broadcast, recordEvents } from '../support/recording.js';

function createIterator(overflow: OverflowPolicy = 'drop-oldest', maxSize = 2) {
  const { events, report } = recordEvents();
  const source = new Subject<Notification>();
  const iterator = new NotificationIterator(source, { maxSize, overflow }, report);
  const send = (...payloads: unknown[]) => {
    for (const payload of payloads) source.next(broadcast(payload));
  };
  return { iterator, source, events, send };
}

/** Resolves with the payload, or with `done`. */
async function next(iterator: NotificationIterator<unknown>): Promise<unknown> {
  const { done, value } = await iterator.next();
  return done === true ? 'done' : value?.payload;
}

async function takeAll(iterator: NotificationIterator<unknown>): Promise<unknown[]> {
  const payloads: unknown[] = [];
  for await (const { payload } of iterator) payloads.push(payload);
  return payloads;
}

describe('NotificationIterator', () => {
  it('receives from its creation on and buffers notifications', async () => {
    const { iterator, send } = createIterator();
    send(1, 2);

    expect([await next(iterator), await next(iterator)]).toEqual([1, 2]);
  });

  it('gives each notification to one waiting call, in order', async () => {
    const { iterator, send } = createIterator();
    const waiting = Promise.all([next(iterator), next(iterator), next(iterator)]);
    send(1, 2, 3, 4);

    expect(await waiting).toEqual([1, 2, 3]);
    expect(await next(iterator)).toBe(4);
  });

  it('unsubscribes when the loop is left', async () => {
    const { iterator, source, send } = createIterator();
    send(1, 2);
    for await (const { payload } of iterator) {
      expect(payload).toBe(1);
      break;
    }

    expect(source.observed).toBe(false);
    expect(await next(iterator)).toBe('done');
  });

  it('unsubscribes when the loop throws', async () => {
    const { iterator, source, send } = createIterator();
    send(1);
    const loop = async () => {
      for await (const notification of iterator) throw new Error(`no ${String(notification.payload)}`);
    };

    await expect(loop()).rejects.toThrow('no 1');
    expect(source.observed).toBe(false);
  });

  it('ends with return(), also for waiting calls', async () => {
    const { iterator, source } = createIterator();
    const waiting = [next(iterator), next(iterator)];

    expect(await iterator.return()).toEqual({ done: true, value: undefined });
    expect(await Promise.all(waiting)).toEqual(['done', 'done']);
    expect(source.observed).toBe(false);
  });

  it('ends with "await using"', async () => {
    const { events, report } = recordEvents();
    const source = new Subject<Notification>();
    {
      await using iterator = new NotificationIterator(source, { maxSize: 1, overflow: 'error' }, report);
      source.next(broadcast(1));
      expect(await next(iterator)).toBe(1);
    }

    expect(source.observed).toBe(false);
    expect(events).toEqual([]);
  });

  it('returns the buffered notifications after the source has completed, and then ends', async () => {
    const { iterator, source, send } = createIterator();
    send(1, 2);
    source.complete();

    expect(await takeAll(iterator)).toEqual([1, 2]);
    expect(await next(iterator)).toBe('done');
  });

  it('ends waiting calls when the source completes', async () => {
    const { iterator, source } = createIterator();
    const waiting = next(iterator);
    source.complete();

    expect(await waiting).toBe('done');
  });

  it('ends at once when the source has already completed', async () => {
    const { report } = recordEvents();
    const iterator = new NotificationIterator(EMPTY, { maxSize: 1, overflow: 'error' }, report);

    expect(await takeAll(iterator)).toEqual([]);
  });
});

describe('NotificationIterator with a full buffer', () => {
  const dropped = (total: number) => ({ type: 'dropped', channel: 'orders', receiver: 'listen()', total });
  const overflow = {
    code: 'BUFFER_OVERFLOW',
    message: expect.stringContaining('at most 2 notifications to wait on channel "orders"') as string,
  };

  it.each([
    ['drop-oldest', [3, 4]],
    ['drop-newest', [1, 2]],
  ] as const)('applies "%s" and counts the dropped notifications', async (policy, kept) => {
    const { iterator, source, events, send } = createIterator(policy);
    send(1, 2, 3, 4);
    source.complete();

    expect(await takeAll(iterator)).toEqual(kept);
    expect(events).toEqual([dropped(1), dropped(2)]);
  });

  it('with "error" returns the buffered notifications, throws once, and ends', async () => {
    const { iterator, source, events, send } = createIterator('error');
    send(1, 2, 3, 4);

    expect([await next(iterator), await next(iterator)]).toEqual([1, 2]);
    await expect(iterator.next()).rejects.toMatchObject(overflow);
    expect(await next(iterator)).toBe('done');
    expect(source.observed).toBe(false);
    expect(events).toEqual([dropped(1)]);
  });

  it('with "error" throws the error in the loop', async () => {
    const { iterator, send } = createIterator('error');
    send(1, 2, 3);

    await expect(takeAll(iterator)).rejects.toMatchObject(overflow);
  });

  it('with "error" throws nothing after return()', async () => {
    const { iterator, send } = createIterator('error');
    send(1, 2, 3);
    await iterator.return();

    expect(await next(iterator)).toBe('done');
  });
});
