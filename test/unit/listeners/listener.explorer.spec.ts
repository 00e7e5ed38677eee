import {
  Catch,
  Inject,
  Injectable,
  Module,
  Scope,
  type CanActivate,
  type ExceptionFilter,
  type NestInterceptor,
  type PipeTransform,
  type Provider,
  type Type,
} from '@nestjs/common';
import {
  APP_FILTER,
  APP_GUARD,
  APP_INTERCEPTOR,
  APP_PIPE,
  ApplicationConfig,
  DiscoveryModule,
  DiscoveryService,
  ExternalContextCreator,
  LazyModuleLoader,
  MetadataScanner,
} from '@nestjs/core';
import { Test, type TestingModule } from '@nestjs/testing';
import { Listener, OnGap, defineChannel, type PubSubEvent } from 'nestjs-pgpubsub';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { ChannelRegistry } from '../../../lib/channels/channel.registry.js';
import { ListenerExplorer } from '../../../lib/listeners/listener.explorer.js';

@Injectable()
class Explorer extends ListenerExplorer {
  constructor(
    @Inject(DiscoveryService) discovery: DiscoveryService,
    @Inject(MetadataScanner) scanner: MetadataScanner,
    @Inject(ExternalContextCreator) contexts: ExternalContextCreator,
    @Inject(ApplicationConfig) config: ApplicationConfig,
  ) {
    super(discovery, scanner, contexts, config);
  }
}

interface Explored {
  readonly providers: Provider[];
  readonly globalEnhancers?: boolean;
  readonly beforeInit?: (app: ReturnType<TestingModule['createNestApplication']>) => void;
}

/** Returns the events of the explorer in an application with these providers. */
async function explore({ providers, globalEnhancers, beforeInit }: Explored): Promise<PubSubEvent[]> {
  @Module({ imports: [DiscoveryModule], providers: [Explorer, ...providers] })
  class Application {}
  const module = await Test.createTestingModule({ imports: [Application] })
    .setLogger(false as never)
    .compile();
  const app = module.createNestApplication();
  beforeInit?.(app);
  await app.init();
  const events: PubSubEvent[] = [];
  const explorer = app.get(Explorer);
  const own = { name: 'default', report: (event: PubSubEvent) => events.push(event) };
  try {
    explorer.watchLazyModules(app.get(LazyModuleLoader), own); // before explore(), as in the module
    const registry = new ChannelRegistry();
    await explorer.explore({ ...own, globalEnhancers, registry, assertInstance: () => undefined });
  } finally {
    await app.close();
  }
  return events;
}

@Injectable()
class Orders {
  @Listener('orders')
  receive() {}
}

@Injectable()
class ThrottlerGuard implements CanActivate {
  canActivate = () => true;
}
@Injectable({ scope: Scope.REQUEST })
class TenantGuard implements CanActivate {
  canActivate = () => true;
}
class I18nInterceptor implements NestInterceptor {
  intercept: NestInterceptor['intercept'] = (_, next) => next.handle();
}
class TrimPipe implements PipeTransform {
  transform = (value: unknown) => value;
}
@Catch()
class QueryFailedFilter implements ExceptionFilter {
  catch() {}
}
const PROVIDED: Provider[] = [
  { provide: APP_FILTER, useClass: QueryFailedFilter },
  { provide: APP_PIPE, useFactory: () => new TrimPipe() },
  { provide: APP_INTERCEPTOR, useValue: new I18nInterceptor() },
  { provide: APP_GUARD, useClass: ThrottlerGuard },
  { provide: APP_GUARD, useClass: TenantGuard },
];

describe('global enhancers', () => {
  it('are reported by name when the option is not set, including request-scoped ones', async () => {
    expect(await explore({ providers: [Orders, ...PROVIDED] })).toEqual([
      {
        type: 'enhancers-skipped',
        guards: ['ThrottlerGuard', 'TenantGuard'],
        interceptors: ['I18nInterceptor'],
        pipes: ['TrimPipe'],
        filters: ['QueryFailedFilter'],
      },
    ]);
  });

  it('are reported when they were added before init() with app.useGlobalGuards() or a similar method', async () => {
    const events = await explore({
      providers: [Orders],
      beforeInit: (app) => {
        app.useGlobalGuards(new ThrottlerGuard(), { canActivate: () => true });
        app.useGlobalFilters(new QueryFailedFilter());
      },
    });
    const none = { interceptors: [], pipes: [] };
    const guards = ['ThrottlerGuard', 'an object'];
    expect(events).toEqual([{ type: 'enhancers-skipped', guards, ...none, filters: ['QueryFailedFilter'] }]);
  });

  it('are not reported when there are none, or no listener to run for', async () => {
    @Injectable()
    class Cache {
      @OnGap()
      clear() {}
    }
    expect(await explore({ providers: [Orders] })).toEqual([]);
    expect(await explore({ providers: [Cache, ...PROVIDED] })).toEqual([]);
  });

  it.each([true, false])('are not reported when the option is %s', async (globalEnhancers) => {
    expect(await explore({ providers: [Orders, ...PROVIDED], globalEnhancers })).toEqual([]);
  });
});

/** Accepts options of any type, as code without TypeScript may give them. */
const invalid = (value: unknown) => value as undefined;

class NullListener {
  @Listener('orders', invalid(null))
  receive() {}
}
class TextListener {
  @Listener('orders', invalid('reporting'))
  receive() {}
}
class NullGapHandler {
  @OnGap(invalid(null))
  clear() {}
}

it.each([
  [NullListener, '@Listener() on NullListener.receive()', 'null'],
  [TextListener, '@Listener() on TextListener.receive()', '"reporting"'],
  [NullGapHandler, '@OnGap() on NullGapHandler.clear()', 'null'],
])(
  'options that are not an object make the explorer throw INVALID_LISTENER: %o',
  async (provider, what, got) => {
    await expect(explore({ providers: [provider] })).rejects.toMatchObject({
      code: 'INVALID_LISTENER',
      message: `expected ${what} to be an object, got ${got}. Correct it, or leave it out.`,
    });
  },
);

describe('listeners whose class name looks minified', () => {
  afterEach(() => vi.unstubAllEnvs());
  const Stored = defineChannel('stored', { delivery: 'exactly-once' });

  /** Returns a provider class of this name with a listener of stored notifications. */
  function named(className: string, options?: { name: string }): Type {
    class Listens {
      @Listener(Stored, options)
      receive() {}
      @Listener('broadcasts')
      hear() {}
    }
    Object.defineProperty(Listens, 'name', { value: className });
    return Listens;
  }

  it('are reported in production when stored notifications refer to them by that name', async () => {
    vi.stubEnv('NODE_ENV', 'production');
    const providers = [named('t'), named('e$1'), named('Mail'), named('n', { name: 'invoices' })];
    expect(await explore({ providers })).toEqual([
      { type: 'names-minified', listeners: ['t.receive', 'e$1.receive'] },
    ]);
  });

  it('are not reported in development', async () => {
    vi.stubEnv('NODE_ENV', 'development');
    expect(await explore({ providers: [named('t')] })).toEqual([]);
  });
});
