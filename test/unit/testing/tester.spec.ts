import { Injectable } from '@nestjs/common';
import { Listener, OnGap, PubSubService, defineChannel, type Notification } from 'nestjs-pgpubsub';
import { PubSubTester } from 'nestjs-pgpubsub/testing';
import { describe, expect, it } from 'vitest';
import { z } from 'zod';
import { collector, payloadsOf } from '../../support/listeners.js';
import { Orders, answer, useTestingApp } from './testing-app.fixtures.js';

const start = useTestingApp();

describe('PubSubTester.flush()', () => {
  it('waits for handlers and for the notifications that they send', async () => {
    const steps: string[] = [];
    @Injectable()
    class Relay {
      constructor(private readonly pubsub: PubSubService) {}

      @Listener('first')
      async pass(n: number) {
        await answer();
        await this.pubsub.notify('second', n);
      }

      @Listener('second')
      async end(n: number) {
        await answer();
        steps.push(`handled ${n}`);
      }
    }
    const { tester } = await start([Relay]);

    for (const n of [1, 2, 3]) await tester.publish('first', n);
    await tester.flush();

    expect(steps).toEqual(['handled 1', 'handled 2', 'handled 3']);
  });

  it('waits for asynchronous schemas, even when notify() was not awaited', async () => {
    const slow = z.number().refine(() => answer().then(() => true));
    const Slow = defineChannel('slow', { schema: slow });
    const { provider, received } = collector(Slow);
    const { tester, pubsub } = await start([provider]);

    void pubsub.notify(Slow, 1);
    void pubsub.notify(Slow, 2);
    await tester.flush();

    expect(payloadsOf(received.all)).toEqual([1, 2]);
  });

  it('rejects once with the error of a handler', async () => {
    const failure = new Error('no stock');
    @Injectable()
    class Failing {
      @Listener(Orders)
      on() {
        throw failure;
      }
    }
    const { tester } = await start([Failing]);

    await tester.publish(Orders, { id: 1 });

    await expect(tester.flush()).rejects.toBe(failure);
    await expect(tester.flush()).resolves.toBeUndefined();
  });

  it('rejects with all errors of handlers and of decoding', async () => {
    const Strange = defineChannel<number>('strange', {
      codec: {
        encode: (n) => n,
        decode: () => {
          throw new Error('what is this?');
        },
      },
    });
    @Injectable()
    class Failing {
      @Listener(Orders)
      on({ id }: { id: number }) {
        throw new Error(`no order ${id}`);
      }

      @OnGap()
      gap() {
        throw new Error('no gap');
      }
    }
    const { tester } = await start([Failing]);

    await tester.publish(Orders, { id: 1 });
    await tester.publish(Strange, 2);
    tester.interrupt();

    const error: unknown = await tester.flush().catch((thrown: unknown) => thrown);
    expect(error).toBeInstanceOf(AggregateError);
    expect((error as AggregateError).errors.map(String).toSorted()).toEqual([
      'Error: no gap',
      'Error: no order 1',
      expect.stringMatching(/PgPubSubError: .*what is this\?/),
    ]);
  });
});

describe('PubSubTester.received() and sent()', () => {
  it('return the notifications in order', async () => {
    const { tester, pubsub } = await start();

    await pubsub.notify(Orders, { id: 1 }, { context: { tenant: 'a' } });
    await tester.publish(Orders, { id: 2 });
    await pubsub.notify('others', 3);
    await tester.flush();

    const order: Notification<{ id: number }> | undefined = tester.received(Orders)[0];
    expect(order).toMatchObject({ payload: { id: 1 }, context: { tenant: 'a' } });
    expect(tester.received('orders').map(({ payload }) => payload)).toEqual([{ id: 1 }, { id: 2 }]);
    expect(tester.received().map(({ channel }) => channel)).toEqual(['orders', 'orders', 'others']);
    expect(tester.sent(Orders)).toEqual([
      {
        channel: 'orders',
        payload: { id: 1 },
        context: { tenant: 'a' },
        key: null,
        availableAt: null,
        delayMs: null,
      },
    ]);
    expect(tester.sent().map(({ payload }) => payload)).toEqual([{ id: 1 }, 3]);
  });

  it('return equal notifications of one statement twice as sent and once as received, as PostgreSQL delivers them', async () => {
    const { tester, pubsub } = await start();

    await pubsub.notifyMany('orders', [1, 1, 2]);
    await Promise.all([pubsub.notify('orders', 3), pubsub.notify('orders', 3)]);
    await tester.flush();

    expect(tester.sent('orders').map(({ payload }) => payload)).toEqual([1, 1, 2, 3, 3]);
    expect(tester.received('orders').map(({ payload }) => payload)).toEqual([1, 2, 3, 3]);
  });

  it('return nothing after clear()', async () => {
    const { tester, pubsub } = await start();
    await pubsub.notify(Orders, { id: 1 });
    await tester.flush();

    tester.clear();

    expect([tester.received(), tester.sent()]).toEqual([[], []]);
  });
});

describe('PubSubTester.interrupt()', () => {
  it('calls @OnGap() with the channels and the time of the gap', async () => {
    const gaps: unknown[] = [];
    @Injectable()
    class Cache {
      @Listener(Orders)
      on() {}

      @OnGap()
      async clear(gap: object) {
        await answer();
        gaps.push(gap);
      }
    }
    const { tester } = await start([Cache]);

    tester.interrupt(new Date(0));
    await tester.flush();

    expect(gaps).toEqual([{ channels: ['orders'], from: new Date(0), to: expect.any(Date) as unknown }]);
  });
});

describe('a feature that needs a database', () => {
  const Mails = defineChannel<string>('mails', { delivery: 'exactly-once' });

  it('is recorded as sent but not handled for an exactly-once channel', async () => {
    const { provider, received } = collector(Mails);
    const { tester, pubsub } = await start([provider]);
    const availableAt = new Date(0);

    await pubsub.notify(Mails, 'Ada', { key: 'a', availableAt, context: { tenant: 'a' } });
    await tester.flush();

    expect(tester.sent(Mails)).toEqual([
      { channel: 'mails', payload: 'Ada', context: { tenant: 'a' }, key: 'a', availableAt, delayMs: null },
    ]);
    expect(received.all).toEqual([]);
    await expect(tester.publish(Mails, 'Ada')).rejects.toMatchObject({ code: 'DELIVERY_UNSUPPORTED' });
  });

  it('rejects with DATA_SOURCE_UNUSABLE', async () => {
    const { pubsub } = await start();
    const refused = {
      code: 'DATA_SOURCE_UNUSABLE',
      message: expect.stringContaining('under PgPubSubTestingModule') as unknown,
    };

    await expect(pubsub.withContext({}, () => Promise.resolve())).rejects.toMatchObject(refused);
    await expect(pubsub.withoutTriggers(() => Promise.resolve())).rejects.toMatchObject(refused);
    await expect(pubsub.stored.count()).rejects.toMatchObject(refused);
    await expect(pubsub.recover()).rejects.toMatchObject(refused);
    await expect(pubsub.status()).resolves.toMatchObject({ health: 'down' });
  });
});

describe('a named instance', () => {
  it('has a tester of its own', async () => {
    const { provider, received } = collector('orders', { instance: 'reporting' });
    const { app, tester } = await start([provider], { name: 'reporting' });

    await tester.publish('orders', 1);
    await tester.flush();

    expect(payloadsOf(received.all)).toEqual([1]);
    expect(() => PubSubTester.of(app)).toThrow(expect.objectContaining({ code: 'UNKNOWN_INSTANCE' }));
  });

  it('rejects the options that the real module rejects', async () => {
    await expect(start([], { bufer: 1 } as object)).rejects.toMatchObject({ code: 'INVALID_OPTIONS' });
  });
});
