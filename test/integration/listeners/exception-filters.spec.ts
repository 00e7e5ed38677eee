import {
  Catch,
  Injectable,
  Scope,
  UseFilters,
  UseInterceptors,
  type ArgumentsHost,
  type CallHandler,
  type ExceptionFilter,
  type ExecutionContext,
  type NestInterceptor,
  type Provider,
} from '@nestjs/common';
import { APP_FILTER, BaseExceptionFilter } from '@nestjs/core';
import {
  ACKNOWLEDGED,
  Listener,
  NonRetryableError,
  defineChannel,
  type Notification,
  type PubSubEvent,
} from 'nestjs-pgpubsub';
import { catchError, of, throwError, throwIfEmpty } from 'rxjs';
import { afterEach, describe, expect, it } from 'vitest';
import type { TestApp } from '../../support/app.js';
import { useStored } from '../../support/stored.js';

const { start, query, deadLetters, settled, effects } = useStored();
afterEach(() => query('truncate pgpubsub_notification, pgpubsub_dead_letter, effect'));

const Orders = defineChannel<string>('orders', { delivery: 'exactly-once' });

/** The error of the listeners here, which is not retried. */
class OrderGone extends NonRetryableError {}
const fail = (payload: string) => {
  throw new OrderGone(`gone: ${payload}`);
};

@Injectable()
class Handler {
  @Listener(Orders)
  stored(payload: string) {
    fail(payload);
  }
  @Listener('signals')
  broadcast(payload: string) {
    fail(payload);
  }
}

const global = (filter: object): Provider => ({ provide: APP_FILTER, useValue: filter });

const startWith = (providers: Provider[]) =>
  start({ providers, options: { globalEnhancers: true, retry: { maxAttempts: 5 } } });

function eventsOf(app: TestApp) {
  const events: PubSubEvent[] = [];
  app.pubsub.events$.subscribe((event) => events.push(event));
  const errorsOf = (type: PubSubEvent['type']) =>
    events.flatMap((event) =>
      event.type === type && 'error' in event ? [(event.error as Error).message] : [],
    );
  return { events, errorsOf };
}

interface FilterCase {
  readonly what: string;
  readonly act: (error: unknown, host: ArgumentsHost) => unknown;
  /** The message of the error with which the filter fails. */
  readonly failure?: string;
}
const raise = (error: unknown) => {
  throw error;
};
const mapped = new Error('mapped');
const FILTERS: FilterCase[] = [
  { what: 'returns nothing', act: () => undefined },
  { what: 'returns a value', act: () => 'handled' },
  { what: 'returns null', act: () => null },
  { what: 'returns a stream of a value', act: () => of('handled') },
  { what: 'is asynchronous and returns nothing', act: () => Promise.resolve() },
  { what: 'throws the error again', act: raise },
  { what: 'throws another error', act: () => raise(mapped), failure: 'mapped' },
  { what: 'rejects with another error', act: () => Promise.reject(mapped), failure: 'mapped' },
  { what: 'returns a stream that fails', act: () => throwError(() => mapped), failure: 'mapped' },
  {
    what: 'answers a missing request',
    act: (_error, host) => host.switchToHttp().getResponse<{ status(code: number): void }>().status(500),
    failure: 'host.switchToHttp(...).getResponse(...).status is not a function',
  },
];

describe.each(FILTERS)('an exception filter that $what', ({ act, failure }) => {
  @Catch()
  class Filter implements ExceptionFilter {
    catch(error: unknown, host: ArgumentsHost) {
      return act(error, host);
    }
  }
  const filterFailures = failure === undefined ? [] : [failure];

  it('lets a stored notification fail with the error of the listener', async () => {
    await using app = await startWith([Handler, global(new Filter())]);
    const { events, errorsOf } = eventsOf(app);
    await app.pubsub.notify(Orders, 'one');
    await settled(Orders);
    const [letter] = await deadLetters(Orders); // immediately, because the error is not retried
    expect(letter).toMatchObject({ attempts: 1, last_error: expect.stringContaining('gone: one') });
    expect(errorsOf('stored-failed')).toEqual(['gone: one']);
    expect(errorsOf('filter-failed')).toEqual(filterFailures);
    expect(events.find(({ type }) => type === 'filter-failed') ?? {}).toMatchObject(
      failure === undefined ? {} : { channel: 'orders', listener: 'Handler.stored' },
    );
  });

  it('lets a broadcast fail with the error of the listener', async () => {
    await using app = await startWith([Handler, global(new Filter())]);
    const { errorsOf } = eventsOf(app);
    await app.pubsub.notify('signals', 'one');
    await app.log.find(
      ({ text }) => text === 'Listener Handler.broadcast failed on channel "signals": gone: one',
    );
    expect(errorsOf('failed')).toEqual(['gone: one']);
    expect(errorsOf('filter-failed')).toEqual(filterFailures);
  });
});

const ACKNOWLEDGING = [
  ['ACKNOWLEDGED', () => ACKNOWLEDGED],
  ['a Promise of ACKNOWLEDGED', () => Promise.resolve(ACKNOWLEDGED)],
  ['a stream of ACKNOWLEDGED', () => of(ACKNOWLEDGED)],
  ['the symbol of another copy of the package', () => Symbol.for('nestjs-pgpubsub:acknowledged')],
] as const;

it.each(ACKNOWLEDGING)(
  'an exception filter completes the notification when it returns %s',
  async (_what, value) => {
    @Catch(OrderGone)
    class Filter implements ExceptionFilter {
      catch() {
        return value();
      }
    }
    @Injectable()
    class Filtered {
      @UseFilters(Filter)
      @Listener(Orders)
      stored(payload: string) {
        fail(payload);
      }
      @UseFilters(Filter)
      @Listener('signals')
      broadcast(payload: string) {
        fail(payload);
      }
    }
    await using app = await start({ providers: [Filtered] });
    const { events } = eventsOf(app);
    await app.pubsub.notify('signals', 'one');
    await app.pubsub.notify(Orders, 'one');
    await settled(Orders);
    await app.close(); // waits for the broadcast
    expect(await deadLetters(Orders)).toEqual([]);
    expect(events.filter(({ type }) => type.endsWith('failed'))).toEqual([]);
    expect(events.flatMap((event) => (event.type === 'handled' ? [event.listener] : [])).toSorted()).toEqual([
      'Filtered.broadcast',
      'Filtered.stored',
    ]);
  },
);

it('a filter that acknowledges an error commits the writes of the listener', async () => {
  @Catch()
  class Filter implements ExceptionFilter {
    catch() {
      return ACKNOWLEDGED;
    }
  }
  @Injectable()
  class Writes {
    @UseFilters(Filter)
    @Listener(Orders)
    async stored(payload: string, { manager }: Notification) {
      await manager.query(`insert into effect (what) values ('kept')`);
      fail(payload);
    }
  }
  await using app = await start({ providers: [Writes] });
  await app.pubsub.notify(Orders, 'one');
  await settled(Orders);
  expect(await effects()).toEqual(['kept']);
});

it('request-scoped filters and those that extend BaseExceptionFilter keep the error of the listener', async () => {
  @Injectable({ scope: Scope.REQUEST })
  @Catch()
  class Scoped implements ExceptionFilter {
    catch() {
      return 'handled';
    }
  }
  @Catch(OrderGone)
  class Http extends BaseExceptionFilter {}
  @Injectable()
  class Filtered {
    @UseFilters(Scoped)
    @Listener(Orders)
    scoped(payload: string) {
      fail(payload);
    }
    @UseFilters(Http)
    @Listener('signals')
    http(payload: string) {
      fail(payload);
    }
  }
  await using app = await start({ providers: [Filtered] });
  await app.pubsub.notify(Orders, 'one');
  await settled(Orders);
  expect(await deadLetters(Orders)).toHaveLength(1);
  await app.pubsub.notify('signals', 'two');
  await app.log.find(({ text }) => text === 'Listener Filtered.http failed on channel "signals": gone: two');
  await app.log.find(({ text }) =>
    text.startsWith('Exception filter of listener Filtered.http failed on channel'),
  );
});

it('an interceptor can replace the error of the listener', async () => {
  class Classifies implements NestInterceptor {
    intercept(_context: ExecutionContext, next: CallHandler) {
      return next.handle().pipe(
        throwIfEmpty(),
        catchError((cause: Error) =>
          throwError(() => new NonRetryableError(`for good: ${cause.message}`, { cause })),
        ),
      );
    }
  }
  @Injectable()
  class Intercepted {
    @UseInterceptors(Classifies)
    @Listener(Orders)
    stored(payload: string) {
      throw new Error(`failed: ${payload}`);
    }
  }
  await using app = await start({ providers: [Intercepted] });
  await app.pubsub.notify(Orders, 'one');
  await settled(Orders);
  const [letter] = await deadLetters(Orders);
  expect(letter).toMatchObject({ attempts: 1, last_error: expect.stringContaining('for good: failed: one') });
});
