import {
  BadRequestException,
  Catch,
  Injectable,
  ParseIntPipe,
  UseFilters,
  UseGuards,
  UseInterceptors,
  UsePipes,
  ValidationPipe,
  createParamDecorator,
  type ArgumentMetadata,
  type CallHandler,
  type CanActivate,
  type ExceptionFilter,
  type ExecutionContext,
  type NestInterceptor,
  type PipeTransform,
  type Provider,
} from '@nestjs/common';
import { ContextIdFactory } from '@nestjs/core';
import { IsInt } from 'class-validator';
import {
  ACKNOWLEDGED,
  Ctx,
  Listener,
  Payload,
  type Notification,
  type PgPubSubOptions,
} from 'nestjs-pgpubsub';
import { EMPTY, defer, map, of } from 'rxjs';
import { afterEach, expect, it } from 'vitest';
import { TestApp } from '../../support/app.js';
import { Mailbox } from '../../support/mailbox.js';
import { useDatabase } from '../../support/use-database.js';

const database = useDatabase();
let mailbox: Mailbox<unknown>;
afterEach(() => ContextIdFactory.apply(undefined as never));

async function start(
  provider: Provider,
  options: PgPubSubOptions = {},
  more: Provider[] = [],
): Promise<TestApp> {
  mailbox = new Mailbox();
  return database.start({ providers: [provider, ...more], options });
}

class Guard implements CanActivate {
  canActivate(context: ExecutionContext) {
    const [payload, notification] = context.getArgs<[unknown, Notification]>();
    mailbox.push([
      'guard',
      context.getType(),
      context.getClass().name,
      context.getHandler().name,
      payload,
      notification.channel,
    ]);
    return payload !== 'refused';
  }
}
class Twice implements PipeTransform {
  transform(value: unknown, { type }: ArgumentMetadata) {
    return type === 'body' && typeof value === 'number' ? value * 2 : value;
  }
}
class Around implements NestInterceptor {
  intercept(context: ExecutionContext, next: CallHandler) {
    mailbox.push([
      'before',
      context.switchToRpc().getData(),
      context.switchToRpc().getContext<Notification>().channel,
    ]);
    return next.handle().pipe(map((result: unknown) => mailbox.push(['after', result])));
  }
}
@Catch(RangeError)
class Handles implements ExceptionFilter {
  catch(error: Error) {
    mailbox.push(['filter', error.message]);
    return of(ACKNOWLEDGED);
  }
}

it('guards, pipes, interceptors and filters run around a handler, in the context "pgpubsub"', async () => {
  @Injectable()
  class Orders {
    @UseGuards(Guard)
    @UsePipes(Twice)
    @UseInterceptors(Around)
    @UseFilters(Handles)
    @Listener('orders')
    receive(payload: unknown, notification: Notification) {
      mailbox.push(['handler', payload, notification.payload]);
      if (payload === 'throw') throw new RangeError('out of range');
      return 'result';
    }
  }
  await using app = await start(Orders);
  await app.pubsub.notify('orders', 21);
  expect(await mailbox.take(4)).toEqual([
    ['guard', 'pgpubsub', 'Orders', 'receive', 21, 'orders'],
    ['before', 21, 'orders'],
    ['handler', 42, 21],
    ['after', 'result'],
  ]);
  await app.pubsub.notify('orders', 'throw');
  await mailbox.find((entry) => Array.isArray(entry) && entry[0] === 'filter');
  expect(app.log.all.filter(({ level }) => level === 'error')).toEqual([]);

  await app.pubsub.notify('orders', 'refused');
  const line = await app.log.find(({ level }) => level === 'error');
  expect(line.text).toBe('Listener Orders.receive failed on channel "orders": Forbidden resource');
});

it('@Payload(), parts of it through pipes, @Ctx() and custom parameters are injected', async () => {
  const Channel = createParamDecorator((suffix: string, context: ExecutionContext) => {
    return context.getArgByIndex<Notification>(1).channel + suffix;
  });
  @Injectable()
  class Orders {
    @Listener('orders')
    receive(
      @Channel('!') channel: string,
      @Ctx() notification: Notification,
      @Payload('id', ParseIntPipe) id: number,
      @Payload() whole: unknown,
      @Payload('missing') missing: unknown,
    ) {
      mailbox.push([channel, notification.processId > 0, id, whole, missing]);
    }
  }
  await using app = await start(Orders);
  await app.pubsub.notify('orders', { id: '42' });
  expect(await mailbox.next()).toEqual(['orders!', true, 42, { id: '42' }, undefined]);
});

class Order {
  @IsInt()
  id!: number;
}

it('validation pipes receive the payload, with and without @Payload()', async () => {
  @Injectable()
  class Orders {
    @UsePipes(new ValidationPipe({ transform: true }))
    @Listener('plain')
    plain(order: Order) {
      mailbox.push(order);
    }
    @UsePipes(new ValidationPipe({ transform: true }))
    @Listener('decorated')
    decorated(@Payload() order: Order) {
      mailbox.push(order);
    }
  }
  await using app = await start(Orders);
  for (const channel of ['plain', 'decorated']) {
    await app.pubsub.notify(channel, { id: 'one' });
    await app.pubsub.notify(channel, { id: 1 });
    const order = await mailbox.next();
    expect(order).toBeInstanceOf(Order);
    expect(order).toEqual({ id: 1 });
    await app.log.find(({ level, text }) => level === 'error' && text.includes(`channel "${channel}"`));
  }
});

it('an error that a filter does not catch is logged, and the next notification is handled', async () => {
  @Injectable()
  class Orders {
    @UseFilters(Handles)
    @Listener('orders')
    receive(payload: unknown) {
      if (payload === 1) throw new BadRequestException('not for this filter');
      mailbox.push(payload);
    }
  }
  await using app = await start(Orders);
  await app.pubsub.notify('orders', 1);
  await app.pubsub.notify('orders', 2);
  expect(await mailbox.next()).toBe(2);
  await app.log.find(({ level, text }) => level === 'error' && text.includes('not for this filter'));
});

it('results can be streams, including those that end without a value', async () => {
  class Skips implements NestInterceptor {
    intercept(_context: ExecutionContext, next: CallHandler) {
      mailbox.push('interceptor');
      return _context.getArgByIndex(0) === 'skip' ? EMPTY : next.handle();
    }
  }
  @Injectable()
  class Orders {
    @Listener('orders')
    streams(payload: unknown) {
      mailbox.push(`handler ${String(payload)}`);
      return payload === 'empty' ? EMPTY : of(1, 2);
    }
    @UseInterceptors(Skips)
    @Listener('skipped')
    skipped() {
      mailbox.push('never');
    }
  }
  await using app = await start(Orders);
  for (const payload of ['empty', 'values']) await app.pubsub.notify('orders', payload);
  await app.pubsub.notify('skipped', 'skip');
  expect(new Set(await mailbox.take(3))).toEqual(new Set(['handler empty', 'handler values', 'interceptor']));
  await app.close();
  expect(app.log.all.filter(({ level }) => level === 'error')).toEqual([]);
  expect(mailbox.untaken).toEqual([]);
});

it('the stream of a method without enhancers is subscribed to, also in a promise', async () => {
  @Injectable()
  class Orders {
    @Listener('orders')
    streams(payload: unknown) {
      const seen = defer(() => of(mailbox.push(payload)));
      return payload === 'later' ? Promise.resolve(seen) : seen;
    }
  }
  await using app = await start(Orders);
  for (const payload of ['at once', 'later']) await app.pubsub.notify('orders', payload);

  expect(await mailbox.take(2)).toEqual(['at once', 'later']);
});
