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
  type NestInterceptor,
  type PipeTransform,
} from '@nestjs/common';
import { Test } from '@nestjs/testing';
import { ACKNOWLEDGED, Listener, PgPubSubModule, defineChannel } from 'nestjs-pgpubsub';
import { PgPubSubTestingModule, PubSubTester } from 'nestjs-pgpubsub/testing';
import { of, tap } from 'rxjs';
import superjson from 'superjson';
import { describe, expect, it } from 'vitest';
import { collector, payloadsOf } from '../../support/listeners.js';
import { Orders, answer, useTestingApp } from './testing-app.fixtures.js';

const start = useTestingApp();

describe('PubSubTester.publish()', () => {
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
    const app = await Test.createTestingModule({
      imports: [PgPubSubTestingModule.forRoot()],
    }).compile();
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
