import { Injectable } from '@nestjs/common';
import { Listener, defineChannel, type Notification } from 'nestjs-pgpubsub';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { collector, payloadsOf } from '../../support/listeners.js';
import { Mailbox, eventually } from '../../support/mailbox.js';
import { range, useStored } from '../../support/stored.js';

const { start, query, waiting } = useStored();
afterEach(async () => {
  vi.restoreAllMocks();
  await query('truncate pgpubsub_notification, pgpubsub_dead_letter, effect');
});

const Orders = defineChannel<unknown>('orders', { delivery: 'exactly-once' });
const Others = defineChannel<unknown>('others', { delivery: 'exactly-once' });

describe('pause(), resume() and recover()', () => {
  it('stop and continue claims of some channels or all', async () => {
    const orders = collector(Orders);
    const others = collector(Others);
    await using app = await start({ providers: [orders.provider, others.provider] });
    await app.pubsub.recover();
    await app.pubsub.pause([Orders]);
    await app.pubsub.notifyMany(Orders, [1, 2]);
    await app.pubsub.notify(Others, 3);
    await others.received.next();
    expect(await app.pubsub.recover([Orders])).toEqual({ handled: 0, failed: 0 });
    expect(await waiting(Orders)).toHaveLength(2);
    await app.pubsub.resume();
    await orders.received.take(2);

    await app.pubsub.pause();
    await app.pubsub.notify(Others, 4);
    await app.pubsub.resume([Others]);
    await others.received.next();
    expect(others.received.all).toHaveLength(2);
  });

  it('count handled and failed notifications until none is left', async () => {
    @Injectable()
    class Handler {
      @Listener(Orders, { retry: { maxAttempts: 1 } })
      receive(payload: unknown) {
        if (payload === 3) throw new Error('not 3');
      }
    }
    await using app = await start({ providers: [Handler] });
    await app.pubsub.recover();
    await app.pubsub.pause();
    await app.pubsub.notifyMany(Orders, range(250));
    await app.pubsub.resume();
    expect(await app.pubsub.recover()).toEqual({ handled: 249, failed: 1 });
    expect(await waiting(Orders)).toEqual([]);
    expect(await app.pubsub.recover([Orders])).toEqual({ handled: 0, failed: 0 });
  });

  it('reject with the reason when the server rejects claims', async () => {
    await using app = await start({ providers: [collector(Orders).provider] });
    await app.pubsub.recover();
    await query('alter table pgpubsub_notification rename to hidden');
    try {
      await expect(app.pubsub.recover()).rejects.toMatchObject({ code: 'STORAGE_MISSING' });
    } finally {
      await query('alter table hidden rename to pgpubsub_notification');
    }
  });

  it('reject channels that this process does not handle', async () => {
    await using app = await start({ channels: [Others], providers: [collector(Orders).provider] });
    await expect(app.pubsub.recover([Others])).rejects.toMatchObject({ code: 'INVALID_ARGUMENT' });
    await expect(app.pubsub.pause([Others])).rejects.toThrow(/\(orders\), got "others"/);
  });
});

describe('a filter', () => {
  it('in the module makes the SQL of claims skip other notifications', async () => {
    const a = collector(Orders);
    const b = collector(Orders);
    await using first = await start({ providers: [a.provider], options: { filter: { context: { tenant: 'a' } } } }); // prettier-ignore
    const context = (tenant: string) => ({ context: { tenant, more: 1 } });
    await first.pubsub.notify(Orders, 1, context('b'));
    await first.pubsub.notify(Orders, 2);
    await first.pubsub.notify(Orders, 3, context('a'));
    expect(payloadsOf([await a.received.next()])).toEqual([3]);
    await first.pubsub.recover();
    expect((await waiting(Orders)).map(({ payload }) => payload)).toEqual([1, 2]);
    await using _second = await start({ providers: [b.provider], options: { filter: { context: { tenant: 'b' } } } }); // prettier-ignore
    expect(payloadsOf([await b.received.next()])).toEqual([1]);
    expect(a.received.untaken).toEqual([]);
  });

  it('on a listener selects among the rows of a claim', async () => {
    const seen = new Mailbox<string>();
    @Injectable()
    class Tenants {
      @Listener(Orders, { filter: { context: { tenant: 'a' } } })
      a(payload: number, { context }: Notification) {
        seen.push(`a ${payload} ${String(context['tenant'])}`);
      }
      @Listener(Orders, { filter: { context: { tenant: 'b' } } })
      b(payload: number, { context }: Notification) {
        seen.push(`b ${payload} ${String(context['tenant'])}`);
      }
    }
    await using app = await start({ providers: [Tenants] });
    for (const [index, tenant] of ['a', 'b', 'c'].entries())
      await app.pubsub.notify(Orders, index, { context: { tenant } });
    await seen.take(2);
    await app.pubsub.recover();
    expect(seen.all.toSorted()).toEqual(['a 0 a', 'b 1 b']);
    await eventually(async () => (await waiting(Orders)).length === 1, 'only that of "c" is left');
  });
});
