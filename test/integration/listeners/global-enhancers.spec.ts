import {
  Catch,
  Injectable,
  Module,
  UseGuards,
  type ArgumentsHost,
  type CallHandler,
  type CanActivate,
  type ExceptionFilter,
  type ExecutionContext,
  type INestApplicationContext,
  type NestInterceptor,
} from '@nestjs/common';
import { APP_FILTER, APP_GUARD, APP_INTERCEPTOR, NestFactory } from '@nestjs/core';
import { TypeOrmModule } from '@nestjs/typeorm';
import {
  Listener,
  NonRetryableError,
  PgPubSubModule,
  PubSubService,
  defineChannel,
  type PubSubEvent,
} from 'nestjs-pgpubsub';
import { QueryFailedError } from 'typeorm';
import { afterEach, describe, expect, it } from 'vitest';
import { eventually } from '../../support/mailbox.js';
import { useStored } from '../../support/stored.js';

const { database, query, deadLetters, settled, effects } = useStored();
afterEach(() => query('truncate pgpubsub_notification, pgpubsub_dead_letter, effect'));

const Orders = defineChannel<string>('orders', { delivery: 'exactly-once', retry: { maxAttempts: 1 } });

/** Enhancers as in most applications, which expect HTTP, like the guard of @nestjs/throttler. */
@Injectable()
class ThrottlerGuard implements CanActivate {
  canActivate(context: ExecutionContext) {
    context.switchToHttp().getResponse<{ header(name: string, value: number): void }>().header('X-Left', 9);
    return true;
  }
}
@Injectable()
class I18nInterceptor implements NestInterceptor {
  intercept(context: ExecutionContext, next: CallHandler) {
    context.switchToHttp().getRequest<{ header(name: string): string }>().header('accept-language');
    return next.handle();
  }
}
@Catch(QueryFailedError)
class QueryFailedFilter implements ExceptionFilter {
  catch(_error: unknown, host: ArgumentsHost) {
    host.switchToHttp().getResponse<{ status(code: number): void }>().status(409);
  }
}
@Injectable()
class OwnGuard implements CanActivate {
  canActivate = (context: ExecutionContext) => context.getArgByIndex(0) !== 'refused';
}

@Injectable()
class Handler {
  @UseGuards(OwnGuard)
  @Listener(Orders)
  async handle(payload: string, { manager }: { manager: { query(sql: string): Promise<unknown> } }) {
    await manager.query(payload === 'fails' ? 'select broken' : `insert into effect (what) values ('done')`);
    if (payload === 'gone') throw new NonRetryableError('order is gone');
  }
}

function moduleWith(globalEnhancers: boolean) {
  @Module({
    imports: [
      TypeOrmModule.forRoot({ type: 'postgres', url: database.url, retryAttempts: 0 }),
      PgPubSubModule.forRoot({ globalEnhancers }),
    ],
    providers: [
      Handler,
      { provide: APP_GUARD, useClass: ThrottlerGuard },
      { provide: APP_INTERCEPTOR, useClass: I18nInterceptor },
      { provide: APP_FILTER, useClass: QueryFailedFilter },
    ],
  })
  class Application {}
  return Application;
}

/**
 * The two kinds of processes: one that answers requests, and one that only listens, like
 * `pgpubsub listen`.
 */
const PROCESSES: [string, (module: object) => Promise<INestApplicationContext>][] = [
  ['a web process', async (module) => (await NestFactory.create(module, { logger: false })).init()],
  ['a listening process', (module) => NestFactory.createApplicationContext(module, { logger: false })],
];

describe.each(PROCESSES)('a listener in %s with global enhancers for HTTP', (_kind, start) => {
  async function handle(globalEnhancers: boolean, payloads: string[]): Promise<string[]> {
    const app = await start(moduleWith(globalEnhancers));
    try {
      const events: PubSubEvent[] = [];
      const pubsub = app.get(PubSubService);
      pubsub.events$.subscribe((event) => events.push(event));
      await pubsub.notifyMany(Orders, payloads);
      await settled(Orders);
      await eventually(() => Promise.resolve(events.some(({ type }) => type === 'claimed')), 'it is claimed');
    } finally {
      await app.close();
    }
    const letters = await deadLetters(Orders);
    return letters.map(({ last_error: text }) => text?.split('\n')[0] ?? '').toSorted();
  }

  it('runs without them by default, and with its own enhancers', async () => {
    const letters = await handle(false, ['one', 'refused', 'fails', 'gone']);
    expect(letters).toEqual([
      'ForbiddenException: Forbidden resource',
      'NonRetryableError: order is gone',
      expect.stringMatching(/^QueryFailedError: column "broken" does not exist/),
    ]);
    expect(await effects()).toEqual(['done']);
  });

  it('fails with the error of the guard when `globalEnhancers` is set', async () => {
    expect(await handle(true, ['one'])).toEqual([
      expect.stringMatching(/^TypeError: .*header is not a function/),
    ]);
  });
});
