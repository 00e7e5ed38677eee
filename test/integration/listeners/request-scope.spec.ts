import {
  Catch,
  Injectable,
  Scope,
  UseGuards,
  type ArgumentMetadata,
  type CallHandler,
  type CanActivate,
  type ExceptionFilter,
  type ExecutionContext,
  type NestInterceptor,
  type PipeTransform,
  type Provider,
} from '@nestjs/common';
import {
  APP_FILTER,
  APP_GUARD,
  APP_INTERCEPTOR,
  APP_PIPE,
  ContextIdFactory,
  REQUEST,
  type ContextId,
  type HostComponentInfo,
} from '@nestjs/core';
import { ACKNOWLEDGED, Listener, type Notification, type PgPubSubOptions } from 'nestjs-pgpubsub';
import { map, of } from 'rxjs';
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

/** A guard that expects HTTP, and fails in every other context. */
class HttpGuard implements CanActivate {
  canActivate(context: ExecutionContext) {
    const { headers } = context.switchToHttp().getRequest<{ headers: { authorization?: string } }>();
    return headers.authorization !== 'none';
  }
}
const httpGuard: Provider = { provide: APP_GUARD, useClass: HttpGuard };

it('global enhancers of the application run with `globalEnhancers`, and not by default', async () => {
  @Injectable()
  class Orders {
    @Listener('orders')
    receive(payload: unknown) {
      mailbox.push(payload);
      if (payload === 0) throw new RangeError('zero');
    }
  }
  const globals: Provider[] = [
    { provide: APP_PIPE, useClass: Twice },
    { provide: APP_INTERCEPTOR, useClass: Around },
    { provide: APP_FILTER, useClass: Handles },
  ];
  {
    await using app = await start(Orders, { globalEnhancers: true }, globals);
    await app.pubsub.notify('orders', 21);
    expect(await mailbox.take(3)).toEqual([['before', 21, 'orders'], 42, ['after', undefined]]);
    await app.pubsub.notify('orders', 0);
    await mailbox.find((entry) => Array.isArray(entry) && entry[0] === 'filter');
  }
  {
    await using app = await start(Orders, { globalEnhancers: true }, [httpGuard]);
    await app.pubsub.notify('orders', 21);
    await app.log.find(({ level, text }) => level === 'error' && text.includes('Orders.receive failed'));
  }
  await using app = await start(Orders, {}, [httpGuard, ...globals]);
  await app.pubsub.notify('orders', 21);
  expect(await mailbox.next()).toBe(21);
});

it('global enhancers do not run for request-scoped listeners by default', async () => {
  @Injectable({ scope: Scope.REQUEST })
  class Scoped {
    @Listener('orders')
    receive(payload: unknown) {
      mailbox.push(payload);
    }
  }
  await using app = await start(Scoped, {}, [httpGuard, { provide: APP_PIPE, useClass: Twice }]);
  await app.pubsub.notify('orders', 21);
  expect(await mailbox.next()).toBe(21);
});

it('request-scoped enhancers are resolved per notification, and durable providers once per tenant', async () => {
  let guards = 0;
  @Injectable({ scope: Scope.REQUEST })
  class ScopedGuard implements CanActivate {
    private readonly number = ++guards;
    canActivate() {
      mailbox.push(`guard ${this.number}`);
      return true;
    }
  }
  @Injectable()
  class Guarded {
    @UseGuards(ScopedGuard)
    @Listener('guarded')
    receive(payload: unknown) {
      mailbox.push(payload);
    }
  }
  let tenants = 0;
  @Injectable({ scope: Scope.REQUEST, durable: true })
  class PerTenant {
    private readonly number = ++tenants;
    @Listener('tenants')
    receive({ tenant }: { tenant: string }) {
      mailbox.push(`${tenant} ${this.number}`);
    }
  }
  const parents = new Map<string, ContextId>();
  ContextIdFactory.apply({
    attach(contextId: ContextId, request: Notification<{ tenant?: string }>) {
      const tenant = request.payload?.tenant;
      if (tenant === undefined) return () => contextId;
      const parent = parents.get(tenant) ?? ContextIdFactory.create();
      parents.set(tenant, parent);
      return {
        resolve: (info: HostComponentInfo) => (info.isTreeDurable ? parent : contextId),
        payload: { tenant },
      };
    },
  });
  await using app = await start(PerTenant, {}, [Guarded]);
  for (const tenant of ['a', 'b', 'a']) await app.pubsub.notify('tenants', { tenant });
  expect(await mailbox.take(3)).toEqual(['a 1', 'b 2', 'a 1']);
  await app.pubsub.notify('guarded', 1);
  await app.pubsub.notify('guarded', 2);
  expect(await mailbox.take(4)).toEqual(['guard 1', 1, 'guard 2', 2]);
});

it('a strategy of context ids adds properties only to its own request, not to the notification of a listener', async () => {
  @Injectable({ scope: Scope.REQUEST })
  class Scoped {
    @Listener('orders')
    receive(_payload: unknown, notification: Notification) {
      mailbox.push(Object.keys(notification).includes('tenant'));
    }
  }
  ContextIdFactory.apply({
    attach: (contextId: ContextId) => ({ resolve: () => contextId, payload: { tenant: 'a' } }),
  });
  await using app = await start(Scoped, {}, [{ provide: 'UNUSED', useFactory: () => REQUEST }]);
  await app.pubsub.notify('orders', 1);
  expect(await mailbox.next()).toBe(false);
});
