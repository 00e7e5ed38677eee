import { Controller, Get, Inject, Injectable, Module, Scope } from '@nestjs/common';
import { LazyModuleLoader, NestFactory, REQUEST } from '@nestjs/core';
import { Listener, OnGap, PgPubSubModule, PubSubService, defineChannel } from 'nestjs-pgpubsub';
import { TypeOrmModule } from '@nestjs/typeorm';
import { expect, it } from 'vitest';
import type { TestApp } from '../../support/app.js';
import { collector } from '../../support/listeners.js';
import { Mailbox } from '../../support/mailbox.js';
import { useDatabase } from '../../support/use-database.js';

const database = useDatabase();

/** Sends `hello`, and then `end`, after which nothing more can arrive. */
async function heard(app: TestApp, heardBy: Mailbox<string>, channel = 'orders'): Promise<string[]> {
  await app.pubsub.notify(channel, 'hello');
  await app.pubsub.notify(channel, 'end');
  await heardBy.find((text) => text.endsWith('end'));
  return heardBy.all.filter((text) => !text.endsWith('end')).toSorted();
}

it('listeners are found on providers and controllers, with several decorators, and in base classes', async () => {
  const mailbox = new Mailbox<string>();
  class Base {
    @Listener('orders')
    inherited(text: string) {
      mailbox.push(`${this.constructor.name}.inherited ${text}`);
    }
    @Listener('orders')
    overridden() {
      mailbox.push('Base.overridden'); // a subclass that overrides it without the decorator does not listen
    }
  }
  @Injectable()
  class Provider extends Base {
    override overridden() {
      mailbox.push('Provider.overridden');
    }
    @Listener('cancellations')
    @Listener('orders')
    stacked(text: string) {
      mailbox.push(`stacked ${text}`);
    }
  }
  @Controller('http')
  class WithRoutes {
    @Get()
    @Listener('orders')
    route(text: string) {
      mailbox.push(`controller ${text}`);
    }
  }
  await using app = await database.start({
    providers: [Provider],
    controllers: [WithRoutes],
  });

  expect(await heard(app, mailbox)).toEqual([
    'Provider.inherited hello',
    'controller hello',
    'stacked hello',
  ]);
  await app.pubsub.notify('cancellations', 'late');
  await mailbox.find((text) => text === 'stacked late');
});

it('a listener is called once in any kind of provider', async () => {
  const mailbox = new Mailbox<string>();
  @Injectable()
  class Service {
    readonly own = 'state'; // reading it fails on a bare prototype
    @Listener('orders')
    receive(text: string) {
      mailbox.push(`${this.name()} ${this.own} ${text}`);
    }
    name() {
      return 'class';
    }
  }
  class ByFactory extends Service {
    override name = () => 'factory';
  }
  class ByValue extends Service {
    override name = () => 'value';
  }
  @Injectable({ scope: Scope.TRANSIENT })
  class Transient extends Service {
    override name = () => 'transient';
  }
  await using app = await database.start({
    providers: [
      Service,
      Transient,
      { provide: 'ALIAS', useExisting: Service },
      { provide: 'FACTORY', useFactory: () => new ByFactory() },
      { provide: 'VALUE', useValue: new ByValue() },
      { provide: 'NULL', useValue: null },
      { provide: 'NUMBER', useValue: 5 },
      { provide: 'FUNCTION', useValue: () => 1 },
      { provide: 'PLAIN', useValue: Object.create(null) as object },
      { provide: 'SCOPED', scope: Scope.REQUEST, useFactory: () => new ByFactory() },
    ],
  });

  expect(await heard(app, mailbox)).toEqual([
    'class state hello',
    'factory state hello',
    'transient state hello',
    'value state hello',
  ]);
});

it('a request-scoped listener gets an instance per notification, with the notification as its request', async () => {
  const mailbox = new Mailbox<string>();
  let instances = 0;
  @Injectable({ scope: Scope.REQUEST })
  class Scoped {
    private readonly number = ++instances;
    constructor(@Inject(REQUEST) private readonly request: { payload: unknown; channel: string }) {}
    @Listener('orders')
    receive(text: string) {
      mailbox.push(`${this.number} ${this.request.channel} ${String(this.request.payload)} ${text}`);
    }
    @OnGap()
    onGap() {
      mailbox.push(`gap ${this.number}`);
    }
  }
  await using app = await database.start({ providers: [Scoped] });

  await app.pubsub.notify('orders', 'a');
  await app.pubsub.notify('orders', 'b');
  expect(await mailbox.take(2)).toEqual(['1 orders a a', '2 orders b b']);
  await database.terminateListeners();
  expect(await mailbox.next()).toBe('gap 3');
});

it('listeners are found on instances that are wrapped in a proxy, as instrumentation does', async () => {
  const mailbox = new Mailbox<string>();
  @Injectable()
  class Service {
    @Listener('orders')
    receive(text: string) {
      mailbox.push(text);
    }
  }
  @Module({
    imports: [TypeOrmModule.forRoot({ type: 'postgres', url: database.url }), PgPubSubModule.forRoot()],
    providers: [Service],
  })
  class AppModule {}
  const calls: string[] = [];
  const instanceDecorator = (instance: unknown) =>
    typeof instance !== 'object' || instance === null || instance instanceof Map
      ? instance
      : instrumented(instance, calls);
  const app = await NestFactory.createApplicationContext(AppModule, {
    logger: false,
    instrument: { instanceDecorator },
  });
  await app.get(PubSubService).notify('orders', 'through the proxy');
  expect(await mailbox.next()).toBe('through the proxy');
  await app.close();
  expect(calls).toContain('receive');
});

/** A proxy whose methods are copies with the metadata, like those of @nestjs/observe. */
function instrumented(instance: object, calls: string[]): object {
  return new Proxy(instance, {
    get(target, key, receiver) {
      const value: unknown = Reflect.get(target, key, receiver);
      if (typeof value !== 'function' || key === 'constructor') return value;
      const copy = function (this: unknown, ...args: unknown[]): unknown {
        calls.push(String(key));
        return Reflect.apply(value, this, args);
      };
      for (const name of Reflect.getOwnMetadataKeys(value) as string[]) {
        Reflect.defineMetadata(name, Reflect.getOwnMetadata(name, value), copy);
      }
      return copy;
    },
  });
}

it('a class that is provided twice listens twice, with a warning', async () => {
  const { provider, received } = collector('orders');
  @Module({ providers: [provider] })
  class Again {}
  await using app = await database.start({ providers: [provider], imports: [Again] });
  await app.log.find(({ level, text }) => level === 'warn' && text.includes('Collector.receive runs twice'));
  await app.pubsub.notify('orders', 1);
  expect(await received.take(2)).toHaveLength(2);
});

it('the option "listen" selects all channels, none, or some', async () => {
  const orders = collector('orders');
  const others = collector('others');
  const providers = [orders.provider, others.provider];
  await using chosen = await database.start({
    providers,
    options: { listen: [defineChannel('others')] },
  });
  await chosen.pubsub.notify('orders', 1);
  await chosen.pubsub.notify('others', 2);
  expect((await others.received.next()).payload).toBe(2);
  expect(orders.received.all).toEqual([]);

  await using none = await database.start({ providers, options: { listen: false } });
  expect(await database.listenSessions()).toBe(1);
  await none.pubsub.notify('others', 3);
  expect((await others.received.next()).payload).toBe(3);
  expect(others.received.untaken).toEqual([]);

  const misspelt = database.start({ providers, options: { listen: ['other'] } });
  await expect(misspelt).rejects.toThrow(
    'expected the option "listen" to list channels that have a listener (orders, others), got "other"',
  );
});

it('an instance that is provided under several tokens is called once', async () => {
  const { provider, received } = collector('orders');
  const again = { provide: 'AGAIN', useFactory: (instance: object) => instance, inject: [provider] };
  await using app = await database.start({ providers: [provider, again] });
  await app.pubsub.notify('orders', 1);
  await app.pubsub.notify('orders', 2);
  expect((await received.take(2)).map(({ payload }) => payload)).toEqual([1, 2]);
  expect(app.log.all.filter(({ level }) => level === 'warn')).toEqual([]);
});

it('several decorators of one channel on one method cause no warning', async () => {
  const mailbox = new Mailbox<unknown>();
  @Injectable()
  class Orders {
    @Listener('orders', { filter: { context: { tenant: 'a' } } })
    @Listener('orders', { filter: { context: { tenant: 'b' } } })
    receive(payload: unknown) {
      mailbox.push(payload);
    }
  }
  await using app = await database.start({ providers: [Orders] });
  for (const tenant of ['a', 'b', 'c']) await app.pubsub.notify('orders', tenant, { context: { tenant } });
  expect(await mailbox.take(2)).toEqual(['a', 'b']);
  expect(app.log.all.filter(({ level }) => level === 'warn')).toEqual([]);
});

it('listeners of modules that are loaded after the start cause a warning', async () => {
  @Injectable()
  class Lazy {
    @Listener('orders')
    receive() {}
  }
  @Module({ providers: [Lazy] })
  class LazyModule {}
  await using app = await database.start();
  await app.app.get(LazyModuleLoader).load(() => LazyModule, { logger: false });
  const { text } = await app.log.find(({ level }) => level === 'warn');
  expect(text).toContain(
    'These methods never run, because their module was loaded after the application started: Lazy.receive.',
  );
});
