import { AsyncLocalStorage } from 'node:async_hooks';
import { NotifyChanges, withPgPubSub } from 'nestjs-pgpubsub';
import { Column, Entity, PrimaryGeneratedColumn, type DataSource, type EntityManager } from 'typeorm';
import {
  StorageDriver,
  Transactional,
  addTransactionalDataSource,
  deleteDataSourceByName,
  initializeTransactionalContext,
} from 'typeorm-transactional';
import { expect, it } from 'vitest';
import { collector, payloadsOf } from '../../support/listeners.js';
import { useDatabase } from '../../support/use-database.js';

@Entity()
class Order {
  @PrimaryGeneratedColumn()
  id!: number;
  @Column('text')
  name!: string;
}

const database = useDatabase();

const entities = { entities: [Order], synchronize: true };

it('notify() joins the transaction of a repository', async () => {
  const { provider, received } = collector('orders');
  await using app = await database.start({ providers: [provider], dataSource: entities });
  const work = (fails: boolean) =>
    app.dataSource.transaction(async (manager) => {
      const orders = manager.getRepository(Order);
      const { id } = await orders.save({ name: 'first' });
      await app.pubsub.notify('orders', { fails }, { manager: orders });
      if (fails) throw new Error(`order ${id} fails`);
    });
  await expect(work(true)).rejects.toThrow('fails');
  await work(false);
  expect((await received.next()).payload).toEqual({ fails: false });
});

it('notify() joins the transaction of the option `executor`, and is sent immediately without one', async () => {
  const current = new AsyncLocalStorage<EntityManager>();
  const { provider, received } = collector('orders');
  await using app = await database.start({
    providers: [provider],
    options: { executor: () => current.getStore() },
  });
  const rolledBack = app.dataSource.transaction((manager) =>
    current.run(manager, async () => {
      await app.pubsub.notify('orders', 'rolled back');
      throw new Error('no');
    }),
  );
  await expect(rolledBack).rejects.toThrow('no');
  await app.dataSource.transaction((manager) =>
    current.run(manager, () => app.pubsub.notify('orders', 'committed')),
  );
  await app.pubsub.notify('orders', 'alone');
  expect(payloadsOf(await received.take(2))).toEqual(['committed', 'alone']);
});

it('notify() joins the transaction of each caller when one object represents several transactions', async () => {
  const current = new AsyncLocalStorage<EntityManager>();
  const { provider, received } = collector<string>('orders');
  await using app = await database.start({ providers: [provider] });
  const { manager } = app.dataSource;
  const delegate = {
    query: (sql: string, parameters?: unknown[]): Promise<unknown> =>
      (current.getStore() ?? manager).query(sql, parameters),
  };
  const proxy = new Proxy(manager, {
    get: (target, key) => Reflect.get(current.getStore() ?? target, key) as unknown,
  });
  const work = (name: string, executor: typeof delegate, fails: boolean) =>
    app.dataSource.transaction((own) =>
      current.run(own, async () => {
        await Promise.all([
          app.pubsub.notify('orders', `${name} 1`, { manager: executor }),
          app.pubsub.notify('orders', `${name} 2`, { manager: executor }),
        ]);
        if (fails) throw new Error('no');
      }),
    );
  for (const executor of [delegate, proxy]) {
    const outcomes = await Promise.allSettled([
      work('a', executor, true), work('b', executor, false), work('c', executor, true), work('d', executor, false),
    ]); // prettier-ignore
    expect(outcomes.map(({ status }) => status)).toEqual(['rejected', 'fulfilled', 'rejected', 'fulfilled']);
    const delivered = payloadsOf(await received.take(4)).toSorted((x, y) => x.localeCompare(y));
    expect(delivered).toEqual(['b 1', 'b 2', 'd 1', 'd 2']);
  }
  expect(received.untaken).toEqual([]);
});

it('notify() joins transactions of typeorm-transactional, and keeps simultaneous callers apart', async () => {
  initializeTransactionalContext({ storageDriver: StorageDriver.ASYNC_LOCAL_STORAGE });
  const { provider, received } = collector<string>('orders');
  await using app = await database.start({
    providers: [provider],
    dataSource: entities,
    patch: addTransactionalDataSource,
  });
  const { pubsub, dataSource } = app;

  class Service {
    @Transactional()
    async place(name: string, fails: boolean) {
      await dataSource.getRepository(Order).save({ name });
      await Promise.all([pubsub.notify('orders', name), pubsub.notify('orders', `${name}!`)]);
      if (fails) throw new Error('no');
    }
  }
  const service = new Service();
  const outcomes = await Promise.allSettled([
    service.place('rolled back', true),
    pubsub.notify('orders', 'outside'),
    service.place('committed', false),
    pubsub.notify('orders', 'outside too'),
    service.place('rolled back too', true),
  ]);
  expect(outcomes.map(({ status }) => status)).toEqual([
    'rejected',
    'fulfilled',
    'fulfilled',
    'fulfilled',
    'rejected',
  ]);
  await pubsub.notify('orders', 'end');
  await received.find(({ payload }) => payload === 'end');
  expect(payloadsOf(received.all).toSorted((a, b) => a.localeCompare(b))).toEqual([
    'committed',
    'committed!',
    'end',
    'outside',
    'outside too',
  ]);
});

@Entity()
@NotifyChanges()
class Shipment {
  @PrimaryGeneratedColumn()
  id!: number;
}

it.each<[string, (dataSource: DataSource) => DataSource]>([
  ['before withPgPubSub()', (dataSource) => withPgPubSub(addTransactionalDataSource(register(dataSource)))],
  ['after withPgPubSub()', (dataSource) => addTransactionalDataSource(register(withPgPubSub(dataSource)))],
])(
  'notify() joins transactions of typeorm-transactional when that patched the DataSource %s',
  async (order, patch) => {
    initializeTransactionalContext({ storageDriver: StorageDriver.ASYNC_LOCAL_STORAGE });
    const { provider, received } = collector<{ new: { id: number } }>(Shipment);
    await using app = await database.start({
      providers: [provider],
      dataSource: { entities: [Shipment], synchronize: true },
      patch,
    });
    const { dataSource } = app;
    class Service {
      @Transactional({ connectionName: CONNECTION })
      async ship(fails: boolean) {
        await dataSource.getRepository(Shipment).save({});
        await app.pubsub.notify(order.slice(0, 5), 'sent');
        if (fails) throw new Error('no');
      }
    }
    await expect(new Service().ship(true)).rejects.toThrow('no');
    await new Service().ship(false);
    const { payload } = await received.next();
    expect(payload.new.id % 2).toBe(0); // the second of the two shipments
    deleteDataSourceByName(CONNECTION);
  },
);

const CONNECTION = 'shipments';
const register = (dataSource: DataSource) => ({ name: CONNECTION, dataSource, patch: true });
