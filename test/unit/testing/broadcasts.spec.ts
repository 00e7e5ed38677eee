import { setImmediate as turn } from 'node:timers/promises';
import {
  Catch,
  Injectable,
  UseFilters,
  UseGuards,
  UseInterceptors,
  UsePipes,
  type CallHandler,
  type CanActivate,
  type ExceptionFilter,
  type ExecutionContext,
  type ModuleMetadata,
  type NestInterceptor,
  type PipeTransform,
  type Provider,
} from '@nestjs/common';
import { Test, type TestingModule } from '@nestjs/testing';
import {
  ACKNOWLEDGED,
  Listener,
  OnGap,
  PgPubSubModule,
  PubSubService,
  defineChannel,
  getPubSubToken,
  type Notification,
  type PgPubSubExtras,
  type PgPubSubOptions,
} from 'nestjs-pgpubsub';
import { PgPubSubTestingModule, PubSubTester } from 'nestjs-pgpubsub/testing';
import { of, tap } from 'rxjs';
import superjson from 'superjson';
import { afterEach, describe, expect, it } from 'vitest';
import { z } from 'zod';
import { collector, payloadsOf } from '../../support/listeners.js';

/** Resolves some turns of the event loop later, like a request to another service. */
async function answer(): Promise<void> {
  for (let turns = 0; turns < 5; turns++) await turn();
}

const Orders = defineChannel('orders', { schema: z.object({ id: z.number() }) });

/** Hides the errors that the tests cause. */
const SILENT = { log() {}, warn() {}, error() {} };

let app: TestingModule | undefined;
afterEach(async () => {
  await app?.close();
  app = undefined;
});

async function start(
  providers: Provider[] = [],
  options: PgPubSubOptions & PgPubSubExtras = {},
  imports: ModuleMetadata['imports'] = [],
) {
  app = await Test.createTestingModule({
    imports: [PgPubSubTestingModule.forRoot(options), ...imports],
    providers,
  })
    .setLogger(SILENT)
    .compile();
  await app.init();
  return {
    app,
    pubsub: app.get<PubSubService>(getPubSubToken(options.name)),
    tester: PubSubTester.of(app, options.name),
  };
}

describe('publish()', () => {
  it('reaches the listeners like a notification of another process, with its context', async () => {
    const { provider, received } = collector(Orders);
    const { tester, pubsub } = await start([provider], { context: () => ({ process: 'this' }) });

    await tester.publish(Orders, { id: 1 }, { context: { tenant: 'a' } });
    await pubsub.notify(Orders, { id: 2 });
    await tester.flush();

    const [theirs, ours] = received.all.map(({ notification }) => notification);
    expect(theirs).toMatchObject({
      channel: 'orders',
      payload: { id: 1 },
      context: { tenant: 'a' },
      id: null,
      attempt: 1,
    });
    expect(ours).toMatchObject({ payload: { id: 2 }, context: { process: 'this' } });
    expect(theirs?.processId).not.toBe(ours?.processId);
  });

  it('goes through guards, pipes, interceptors and filters', async () => {
    @Injectable()
    class NotTooLarge implements CanActivate {
      canActivate(context: ExecutionContext) {
        return context.getArgByIndex<{ id: number }>(0).id < 100;
      }
    }
    class Doubled implements PipeTransform {
      transform({ id }: { id: number }) {
        return { id: id * 2 };
      }
    }
    const seen: unknown[] = [];
    class Around implements NestInterceptor {
      intercept(_: ExecutionContext, next: CallHandler) {
        seen.push('before');
        return next.handle().pipe(tap(() => seen.push('after')));
      }
    }
    @Catch(RangeError)
    class Handles implements ExceptionFilter {
      catch({ message }: RangeError) {
        seen.push(message);
        return of(ACKNOWLEDGED);
      }
    }
    @Injectable()
    class Listeners {
      @Listener(Orders)
      @UseGuards(NotTooLarge)
      @UsePipes(Doubled)
      @UseInterceptors(Around)
      @UseFilters(Handles)
      on(order: { id: number }) {
        if (order.id === 0) throw new RangeError('no order 0');
        seen.push(order);
      }
    }
    const { tester } = await start([Listeners, NotTooLarge]);

    await tester.publish(Orders, { id: 5 });
    await tester.flush();
    expect(seen.splice(0)).toEqual(['before', { id: 10 }, 'after']);
    await tester.publish(Orders, { id: 0 });
    await tester.flush();
    expect(seen.splice(0)).toEqual(['before', 'no order 0']);
    await tester.publish(Orders, { id: 500 });

    await expect(tester.flush()).rejects.toThrow('Forbidden');
    expect(seen).toEqual([]);
  });

  it.each([
    ['a payload that JSON cannot represent', 'plain', { n: 5n }, 'INVALID_PAYLOAD'],
    ['a payload that the schema rejects', Orders, { id: 'one' }, 'PAYLOAD_REJECTED'],
    ['a payload that is too large', 'plain', 'x'.repeat(8_000), 'PAYLOAD_TOO_LARGE'],
    ['an invalid channel name', '', 1, 'INVALID_CHANNEL'],
  ])('rejects %s, as notify() does', async (_, channel, payload, code) => {
    const { tester, pubsub } = await start();

    await expect(tester.publish(channel as string, payload)).rejects.toMatchObject({ code });
    await expect(pubsub.notify(channel as string, payload)).rejects.toMatchObject({ code });
    expect(tester.received()).toEqual([]);
    expect(tester.sent()).toEqual([]);
  });

  it('encodes and decodes with the codec of the channel', async () => {
    const Sets = defineChannel<Set<number>>('sets', {
      codec: { encode: superjson.serialize, decode: superjson.deserialize },
    });
    const { provider, received } = collector(Sets);
    const { tester } = await start([provider]);

    await tester.publish(Sets, new Set([1, 2]));
    await tester.flush();

    expect(payloadsOf(received.all)).toEqual([new Set([1, 2])]);
  });

  it('rejects before the application has started and after it has closed', async () => {
    app = await Test.createTestingModule({ imports: [PgPubSubTestingModule.forRoot()] }).compile();
    const tester = app.get(PubSubTester);
    const refused = {
      code: 'INVALID_ARGUMENT',
      message: expect.stringContaining('await app.init()') as unknown,
    };

    await expect(tester.publish('orders')).rejects.toMatchObject(refused);
    await app.init();
    await tester.publish('orders');
    await app.close();
    await expect(tester.publish('orders')).rejects.toMatchObject(refused);
    await expect(tester.flush()).rejects.toMatchObject(refused);
  });

  it('finds the channels of forFeature() by name', async () => {
    const { tester } = await start([], {}, [PgPubSubModule.forFeature([Orders])]);

    await expect(tester.publish('orders', {})).rejects.toMatchObject({ code: 'PAYLOAD_REJECTED' });
  });

  it('applies the buffer limit of a slow listener', async () => {
    const handled: number[] = [];
    @Injectable()
    class Slow {
      @Listener(Orders)
      async on({ id }: { id: number }) {
        await answer();
        handled.push(id);
      }
    }
    const { tester } = await start([Slow], { buffer: { maxSize: 1, overflow: 'error' } });

    for (const id of [1, 2, 3]) await tester.publish(Orders, { id });

    await expect(tester.flush()).rejects.toMatchObject({ code: 'BUFFER_OVERFLOW' });
    expect(handled).toEqual([1, 2]);
  });

  it('reaches observers and iterators', async () => {
    const { tester, pubsub } = await start();
    const observed: unknown[] = [];
    pubsub.observe(Orders).subscribe(({ payload }) => observed.push(payload));
    await using iterated = pubsub.listen(Orders);

    await tester.publish(Orders, { id: 1 });
    await tester.flush();

    expect(observed).toEqual([{ id: 1 }]);
    await expect(iterated.next()).resolves.toMatchObject({ value: { payload: { id: 1 } } });
  });
});

describe('flush()', () => {
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

describe('received() and sent()', () => {
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

describe('interrupt()', () => {
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
