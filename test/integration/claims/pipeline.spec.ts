import {
  Catch,
  Injectable,
  ParseIntPipe,
  Scope,
  UseFilters,
  UseGuards,
  UseInterceptors,
  type CallHandler,
  type CanActivate,
  type ExceptionFilter,
  type ExecutionContext,
  type NestInterceptor,
} from '@nestjs/common';
import { APP_GUARD, REQUEST } from '@nestjs/core';
import { ACKNOWLEDGED, Ctx, Listener, Payload, defineChannel, type Notification } from 'nestjs-pgpubsub';
import { of, tap } from 'rxjs';
import { Inject } from '@nestjs/common';
import { afterEach, describe, expect, it } from 'vitest';
import { Mailbox } from '../../support/mailbox.js';
import { useStored } from '../../support/stored.js';

const { start, query, deadLetters, settled, effects } = useStored();
afterEach(() => query('truncate pgpubsub_notification, pgpubsub_dead_letter, effect'));

const Orders = defineChannel<unknown>('orders', { delivery: 'exactly-once', retry: { maxAttempts: 3 } });

describe("Nest's pipeline", () => {
  const log = new Mailbox<unknown>();

  class Guard implements CanActivate {
    canActivate(context: ExecutionContext) {
      log.push(['guard', context.getType(), context.getHandler().name]);
      return context.switchToRpc().getData<unknown>() !== 'refused';
    }
  }
  class Around implements NestInterceptor {
    intercept(_: ExecutionContext, next: CallHandler) {
      log.push('before');
      return next.handle().pipe(tap(() => log.push('after')));
    }
  }
  @Catch(RangeError)
  class Handles implements ExceptionFilter {
    catch() {
      log.push('filter');
      return of(ACKNOWLEDGED);
    }
  }
  afterEach(() => {
    log.all.length = 0;
  });

  it('runs guards, pipes, interceptors and filters around each handler', async () => {
    @Injectable()
    class Handler {
      @Listener(Orders)
      @UseGuards(Guard)
      @UseInterceptors(Around)
      @UseFilters(Handles)
      receive(@Payload('id', ParseIntPipe) id: number, @Ctx() { manager, attempt }: Notification) {
        log.push([id, attempt, typeof manager.query]);
        if (id === 2) throw new RangeError('filtered');
      }
    }
    await using app = await start({ providers: [Handler], options: { retry: { maxAttempts: 1 } } });
    await app.pubsub.notifyMany(Orders, [{ id: '1' }, { id: '2' }]);
    await settled(Orders);
    const guard = ['guard', 'pgpubsub', 'receive'];
    expect(log.all).toEqual([
      guard, 'before', [1, 1, 'function'], 'after',
      guard, 'before', [2, 1, 'function'], 'filter',
    ]); // prettier-ignore
    expect(await deadLetters(Orders)).toEqual([]); // the filter has acknowledged the error
  });

  it('makes a rejection by a guard, a pipe or a global guard a failure', async () => {
    @Injectable()
    class Handler {
      @Listener(Orders, { retry: { maxAttempts: 1 } })
      @UseGuards(Guard)
      receive(@Payload(ParseIntPipe) id: number) {
        log.push(id);
      }
    }
    await using app = await start({
      providers: [Handler, { provide: APP_GUARD, useClass: Guard }],
      options: { globalEnhancers: true },
    });
    await app.pubsub.notifyMany(Orders, ['refused', 'no number', '3']);
    await settled(Orders);
    expect(log.all.filter((entry) => typeof entry === 'number')).toEqual([3]);
    expect(log.all.filter((entry) => Array.isArray(entry))).toHaveLength(5);
    const letters = await deadLetters(Orders);
    expect(letters.map(({ last_error: text }) => text?.split('\n')[0])).toEqual([
      'ForbiddenException: Forbidden resource',
      expect.stringMatching(/BadRequestException: Validation failed/),
    ]);
  });

  it('creates a request-scoped provider for each notification', async () => {
    const instances = new Set<object>();
    const requests = new Mailbox<unknown>();
    @Injectable({ scope: Scope.REQUEST })
    class Handler {
      constructor(@Inject(REQUEST) private readonly request: { payload: unknown }) {}

      @Listener(Orders)
      async receive(payload: unknown, { manager }: Notification) {
        instances.add(this);
        requests.push([payload, this.request.payload]);
        await manager.query('insert into effect (what) values ($1)', [payload]);
      }
    }
    await using app = await start({ providers: [Handler], options: { concurrency: 1 } });
    await app.pubsub.notifyMany(Orders, [1, 2, 3]);
    await settled(Orders);
    expect(instances.size).toBe(3);
    expect(requests.all).toEqual([[1, 1], [2, 2], [3, 3]]); // prettier-ignore
    expect(await effects()).toEqual(['1', '2', '3']);
  });
});
