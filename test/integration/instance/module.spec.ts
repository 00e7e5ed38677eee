import { Inject, Injectable, Module } from '@nestjs/common';
import { Test } from '@nestjs/testing';
import { TypeOrmModule } from '@nestjs/typeorm';
import {
  InjectPubSub,
  Listener,
  PgPubSubModule,
  PubSubService,
  defineChannel,
  getPubSubToken,
  type PgPubSubExtras,
  type PgPubSubOptions,
} from 'nestjs-pgpubsub';
import { DataSource } from 'typeorm';
import { z } from 'zod';
import { describe, expect, it } from 'vitest';
import { TestApp } from '../../support/app.js';
import { collector, payloadsOf } from '../../support/listeners.js';
import { Mailbox, eventually } from '../../support/mailbox.js';
import { useDatabase } from '../../support/use-database.js';

const database = useDatabase();
const second = useDatabase();

describe('forRootAsync()', () => {
  const options: PgPubSubOptions = { context: () => ({ from: 'async' }) };
  @Injectable()
  class OptionsFactory {
    create(): PgPubSubOptions {
      return options;
    }
  }
  @Module({ providers: [OptionsFactory], exports: [OptionsFactory] })
  class ConfigModule {}

  it.each([
    [
      'useFactory',
      {
        imports: [ConfigModule],
        inject: [OptionsFactory],
        useFactory: async (factory: OptionsFactory) => Promise.resolve(factory.create()),
      },
    ],
    ['useClass', { useClass: OptionsFactory }],
    ['useExisting', { imports: [ConfigModule], useExisting: OptionsFactory }],
  ])('takes its options from %s', async (_, asyncOptions) => {
    const { provider, received } = collector('orders');
    await using app = await database.start({
      providers: [provider],
      module: PgPubSubModule.forRootAsync(asyncOptions),
    });
    await app.pubsub.notify('orders', 1);
    expect((await received.next()).notification.context).toEqual({ from: 'async' });
  });

  it('rejects a name in its result, and says where it belongs', async () => {
    const module = PgPubSubModule.forRootAsync({
      useFactory: () => ({ name: 'reporting' }) as PgPubSubOptions,
    });
    await expect(database.start({ module })).rejects.toThrow('expected "name" beside useFactory');
  });
});

it.each<[string, PgPubSubOptions & PgPubSubExtras, string]>([
  [
    'has an unknown option',
    { heartbeet: false } as PgPubSubOptions,
    'expected only known options for PgPubSubModule.forRoot(): name, ',
  ],
  [
    'has an option of a wrong type',
    { concurrency: 'four' } as never,
    'expected the option "concurrency" of PgPubSubModule.forRoot() to be a whole number of at least 1, got "four"',
  ],
  [
    'has an option of a wrong type in a group',
    { reconnect: { maxDelayMs: -1 } },
    'expected the option "reconnect.maxDelayMs"',
  ],
  [
    'has an invalid name',
    { name: '' },
    'expected the option "name" of PgPubSubModule.forRoot() to be a string that is not empty, got',
  ],
])('forRoot() stops the application when it %s', async (_, options, sentence) => {
  const started = database.start({ options });
  await expect(started).rejects.toMatchObject({ code: 'INVALID_OPTIONS' });
  await expect(started).rejects.toThrow(sentence);
});

it('forRoot() stops the application when one name is registered twice', async () => {
  const started = database.start({ imports: [PgPubSubModule.forRoot({ listen: false })] });
  await expect(started).rejects.toMatchObject({ code: 'DUPLICATE_INSTANCE' });
  await expect(started).rejects.toThrow(
    'expected PgPubSubModule.forRoot() once per name, got it twice for "default"',
  );
});

it('forRoot() stops the application when its DataSource is not PostgreSQL, or not initialized', async () => {
  const starting = async (dataSource: DataSource) => {
    @Module({ providers: [{ provide: DataSource, useValue: dataSource }], exports: [DataSource] })
    class DatabaseModule {}
    const module = await Test.createTestingModule({
      imports: [{ module: DatabaseModule, global: true }, PgPubSubModule.forRoot()],
    }).compile();
    await module.createNestApplication({ logger: false }).init();
  };
  const postgres = starting(new DataSource({ type: 'postgres', url: database.url }));
  await expect(postgres).rejects.toMatchObject({ code: 'DATA_SOURCE_UNUSABLE' });
  await expect(postgres).rejects.toThrow(
    'expected an initialized DataSource, got one that is not. Call dataSource.initialize()',
  );
  const other = { options: { type: 'mysql' }, isInitialized: true } as DataSource;
  await expect(starting(other)).rejects.toThrow('expected a DataSource of type "postgres", got "mysql"');
});

it('forRoot() stops the application without a DataSource, and names the import to add', async () => {
  const starting = (options: PgPubSubOptions & PgPubSubExtras) =>
    Test.createTestingModule({ imports: [PgPubSubModule.forRoot(options)] }).compile();
  await expect(starting({})).rejects.toMatchObject({ code: 'DATA_SOURCE_UNUSABLE' });
  await expect(starting({})).rejects.toThrow(
    "expected a TypeORM DataSource among the providers of the application, got none. Import TypeOrmModule.forRoot({ type: 'postgres', … })",
  );
  await expect(starting({ dataSource: 'reporting' })).rejects.toThrow(
    /the TypeORM DataSource "reporting" .*TypeOrmModule\.forRoot\({ name: 'reporting', type/,
  );
});

it('an application whose DataSource cannot connect fails with the error of TypeORM', async () => {
  await expect(TestApp.start({ url: 'postgres://127.0.0.1:1/none' })).rejects.toThrow('ECONNREFUSED');
});

it('two instances with two databases in one application do not affect each other', async () => {
  const everything = new Mailbox<string>();
  @Injectable()
  class Both {
    @Listener('orders')
    first(payload: string) {
      everything.push(`default: ${payload}`);
    }
    @Listener('orders', { instance: 'reporting' })
    reporting(payload: string) {
      everything.push(`reporting: ${payload}`);
    }
  }
  @Injectable()
  class Sender {
    constructor(
      @Inject(PubSubService) readonly first: PubSubService,
      @InjectPubSub('reporting') readonly reporting: PubSubService,
    ) {}
  }
  await using app = await database.start({
    providers: [Both, Sender],
    imports: [
      TypeOrmModule.forRoot({ type: 'postgres', name: 'warehouse', url: second.url }),
      PgPubSubModule.forRoot({ name: 'reporting', dataSource: 'warehouse' }),
    ],
  });
  const sender = app.app.get(Sender);
  expect(app.app.get(getPubSubToken('reporting'))).toBe(sender.reporting);
  expect(app.app.get(PubSubService)).toBe(sender.first);
  expect(sender.first).not.toBe(sender.reporting);
  await sender.first.notify('orders', 'a');
  await sender.reporting.notify('orders', 'b');
  await sender.first.notify('orders', 'end');
  await sender.reporting.notify('orders', 'end');
  await everything.take(4);

  expect(everything.all.toSorted()).toEqual(['default: a', 'default: end', 'reporting: b', 'reporting: end']);
  expect([await database.listenSessions(), await second.listenSessions()]).toEqual([1, 1]);
});

it('two applications in one process do not affect each other', async () => {
  const here = collector('orders');
  const there = collector('orders');
  await using one = await database.start({ providers: [here.provider] });
  await using two = await TestApp.start({ url: second.url, providers: [there.provider] });
  await one.pubsub.notify('orders', 1);
  await two.pubsub.notify('orders', 2);
  await one.pubsub.notify('orders', 'end');
  await two.pubsub.notify('orders', 'end');

  expect(payloadsOf(await here.received.take(2))).toEqual([1, 'end']);
  expect(payloadsOf(await there.received.take(2))).toEqual([2, 'end']);
  await one.close();
  await two.pubsub.notify('orders', 3);
  expect((await there.received.next()).payload).toBe(3);
});

it('forFeature() registers channels by name, also in a process that only publishes', async () => {
  const Orders = defineChannel('feature_orders', { schema: z.object({ id: z.number() }) });
  await using app = await database.start({
    options: { listen: false },
    imports: [PgPubSubModule.forFeature([Orders])],
  });
  await expect(app.pubsub.notify('feature_orders', { id: 'x' })).rejects.toMatchObject({
    code: 'PAYLOAD_REJECTED',
  });
  await app.pubsub.notify('feature_orders', { id: 1 });

  const other = defineChannel('feature_orders');
  expect(() => app.pubsub.observe(other)).toThrow(
    /expected one definition of the channel "feature_orders", got two/,
  );
  const conflicting = database.start({
    imports: [PgPubSubModule.forFeature([Orders]), PgPubSubModule.forFeature([other])],
  });
  await expect(conflicting).rejects.toMatchObject({ code: 'CHANNEL_CONFLICT' });
  const elsewhere = database.start({ imports: [PgPubSubModule.forFeature([Orders], 'reporting')] });
  await expect(elsewhere).rejects.toMatchObject({ code: 'UNKNOWN_INSTANCE' });
});

it('forFeature() rejects channels that are not a list', () => {
  expect(() => PgPubSubModule.forFeature('orders' as never)).toThrow(
    /forFeature\(\) in an array, got "orders"/,
  );
});

it('an instance leaves no session behind when another instance cannot connect', async () => {
  const refused = new URL(second.url);
  refused.port = '1';
  const started = database.start({
    imports: [PgPubSubModule.forRoot({ name: 'reporting', connection: refused.href })],
  });
  await expect(started).rejects.toMatchObject({ code: 'CONNECT_FAILED' });
  await eventually(
    async () => (await database.listenSessions()) === 0,
    'the first instance has closed its session',
  );
});

it('hooks that run before the application listens can send', async () => {
  @Injectable()
  class Early {
    constructor(@Inject(PubSubService) private readonly pubsub: PubSubService) {}
    async onModuleInit() {
      await this.pubsub.notify('orders', 'early');
    }
  }
  const { provider, received } = collector('orders');
  await using listening = await database.start({ providers: [provider] });
  await using _early = await database.start({ providers: [Early] });
  expect((await received.next()).payload).toBe('early');
  expect(listening.pubsub).toBeDefined();
});
