import { Injectable } from '@nestjs/common';
import { Listener, OnGap, Payload, PgPubSubModule, type ListenerOptions } from 'nestjs-pgpubsub';
import { expect, it } from 'vitest';
import { collector } from '../../support/listeners.js';
import { useDatabase } from '../../support/use-database.js';

const database = useDatabase();

it.each<[string, ListenerOptions, RegExp]>([
  [
    'an unknown option',
    { concurency: 5 } as ListenerOptions,
    /known options for @Listener\(\) on Collector.receive\(\).*"concurency"/,
  ],
  ['a concurrency of 0', { concurrency: 0 }, /"concurrency".*whole number of at least 1, got 0/],
  ['"batch" on a broadcast', { batch: true }, /"batch" on exactly-once channels only/],
  ['"on" on a channel without entity', { on: 'insert' }, /"on" for channels of entities only/],
  [
    'an instance that does not exist',
    { instance: 'reporting' },
    /Collector.receive: expected the name of an instance \(default\), got "reporting"/,
  ],
  [
    'the former name of "instance"',
    { pubsub: 'default' } as ListenerOptions,
    /the option "instance" of @Listener\(\) on Collector.receive\(\) by its current name, got its former name "pubsub".*Rename it to "instance"/,
  ],
])('a listener stops the application for %s', async (_, options, message) => {
  const { provider } = collector('orders', options);
  await expect(database.start({ providers: [provider] })).rejects.toThrow(message);
  expect(await database.listenSessions()).toBe(0);
});

it('a listener with the former name of "instance" stops an application without a default instance, too', async () => {
  const { provider } = collector('orders', { pubsub: 'reporting' } as ListenerOptions);
  const module = PgPubSubModule.forRoot({ name: 'reporting' });

  await expect(database.start({ providers: [provider], module })).rejects.toThrow(
    /"instance" of @Listener\(\) on Collector.receive\(\) by its current name, got its former name "pubsub"/,
  );
});

it('@OnGap() with the former name of "instance" stops the application', async () => {
  @Injectable()
  class Cache {
    @OnGap({ pubsub: 'default' } as never)
    clear() {}
  }

  await expect(database.start({ providers: [Cache] })).rejects.toThrow(
    /"instance" of @OnGap\(\) on Cache.clear\(\) by its current name, got its former name "pubsub".*Rename it to "instance"/,
  );
});

it('@OnGap() with an unknown option stops the application', async () => {
  @Injectable()
  class Cache {
    @OnGap({ pubsb: 'reporting' } as never)
    clear() {}
  }
  await expect(database.start({ providers: [Cache] })).rejects.toThrow(
    /known options for @OnGap\(\) on Cache.clear\(\): instance, got "pubsb"/,
  );
});

it('a listener of a class that is not a channel stops the application', async () => {
  class Author {}
  const { provider } = collector(Author as never);
  await expect(database.start({ providers: [provider] })).rejects.toThrow(
    /@Listener\(\) on Collector.receive\(\): expected an entity that is decorated with @NotifyChanges\(\).*got the class Author/,
  );
});

it('decorators reject static methods, symbols and parameters of constructors', () => {
  const method = Object.getOwnPropertyDescriptor({ receive() {} }, 'receive') ?? {};
  expect(() => Listener('orders')(class Orders {}, 'receive', method)).toThrow(
    /on instance methods, got one on receive of the class Orders/,
  );
  expect(() => Listener('orders')({}, Symbol('receive'), method)).toThrow(/on instance methods/);
  expect(() => Payload()(class Orders {}, undefined, 0)).toThrow(
    /on parameters of methods, got one on a parameter of the constructor of the class Orders/,
  );
});
