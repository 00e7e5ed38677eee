import { Injectable, Module } from '@nestjs/common';
import {
  ApplicationConfig,
  DiscoveryModule,
  DiscoveryService,
  ExternalContextCreator,
  LazyModuleLoader,
  MetadataScanner,
  NestFactory,
} from '@nestjs/core';
import { Listener, OnGap, OnInsert, type PubSubEvent } from 'nestjs-pgpubsub';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { ListenerExplorer } from '../../../lib/listeners/listener.explorer.js';

@Injectable()
class Known {
  @Listener('orders')
  receive() {}
}
@Module({ imports: [DiscoveryModule], providers: [Known] })
class Application {}

class Author {}
@Injectable()
class Lazy {
  @Listener('orders')
  receive() {}
  @OnInsert(Author)
  welcome() {}
  @OnGap()
  clear() {}
  @Listener('orders', { instance: 'reporting' })
  report() {}
}
@Module({ providers: [Lazy] })
class LazyModule {}
@Injectable()
class Plain {}
@Module({ providers: [Plain] })
class PlainModule {}

let app: Awaited<ReturnType<typeof NestFactory.createApplicationContext>>;
let loader: LazyModuleLoader;
let events: PubSubEvent[];
beforeEach(async () => {
  app = await NestFactory.createApplicationContext(Application, { logger: false });
  loader = app.get(LazyModuleLoader);
  events = [];
});
afterEach(() => app.close());

function watch(name: string): void {
  const explorer = new ListenerExplorer(
    app.get(DiscoveryService, { strict: false }),
    app.get(MetadataScanner, { strict: false }),
    app.get(ExternalContextCreator),
    app.get(ApplicationConfig),
  );
  explorer.watchLazyModules(loader, { name, report: (event) => events.push(event) });
}

it('watchLazyModules() reports the listeners of a module that is loaded after the start, once', async () => {
  watch('default');
  const moduleRef = await loader.load(() => LazyModule, { logger: false });
  await loader.load(() => LazyModule, { logger: false });
  expect(moduleRef.get(Lazy)).toBeInstanceOf(Lazy);
  expect(events).toEqual([
    { type: 'lazily-loaded', listeners: ['Lazy.receive', 'Lazy.welcome', 'Lazy.clear'] },
  ]);
});

it('watchLazyModules() reports only the listeners of its own instance', async () => {
  watch('reporting');
  await loader.load(() => LazyModule, { logger: false });
  expect(events).toEqual([{ type: 'lazily-loaded', listeners: ['Lazy.report'] }]);
});

it('watchLazyModules() reports nothing for a module without listeners', async () => {
  watch('default');
  await loader.load(() => PlainModule, { logger: false });
  expect(events).toEqual([]);
});

it('watchLazyModules() passes on the error of a module that cannot be loaded', async () => {
  watch('default');
  const load = loader.load(() => Promise.reject(new Error('no such module')));
  await expect(load).rejects.toThrow('no such module');
  expect(events).toEqual([]);
});
