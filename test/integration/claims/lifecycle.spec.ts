import { Injectable } from '@nestjs/common';
import { TypeOrmModule } from '@nestjs/typeorm';
import {
  InjectPubSub,
  Listener,
  PgPubSubModule,
  defineChannel,
  type Notification,
  type PubSubService,
} from 'nestjs-pgpubsub';
import { afterEach, describe, expect, it } from 'vitest';
import { TestApp } from '../../support/app.js';
import { TestDatabase } from '../../support/database.js';
import { collector, payloadsOf } from '../../support/listeners.js';
import { Mailbox, eventually } from '../../support/mailbox.js';
import { range, useStored } from '../../support/stored.js';

const { start, query, settled, waiting, effects } = useStored();
afterEach(() => query('truncate pgpubsub_notification, pgpubsub_dead_letter, effect'));

const Orders = defineChannel<number>('orders', { delivery: 'exactly-once' });

/** A listener that writes, waits until it is released, and writes again. */
function holding() {
  const log = new Mailbox<string>();
  let release = (): void => undefined;
  @Injectable()
  class Holding {
    @Listener(Orders)
    async receive(id: number, { manager, signal }: Notification) {
      await manager.query('insert into effect (what) values ($1)', [`${id} begun`]);
      signal.addEventListener('abort', () => log.push('aborted'));
      await new Promise<void>((resolve) => {
        release = resolve;
        log.push(`started ${id}`);
      });
      await manager.query('insert into effect (what) values ($1)', [`${id} done`]);
      log.push(`finished ${id}`);
    }
  }
  return { provider: Holding, log, release: () => release() };
}

describe('the shutdown of an application', () => {
  it('waits for the running handler and commits it, and leaves the rest of its claim to other processes', async () => {
    const held = holding();
    await using sender = await start({ channels: [Orders], options: { listen: false } });
    await sender.pubsub.notifyMany(Orders, range(5));
    const app = await start({ providers: [held.provider], options: { concurrency: 1 } });
    await held.log.next();
    const closing = app.close();
    await sender.pubsub.notify(Orders, 6);
    held.release();
    await closing;
    expect(held.log.all).toEqual(['started 1', 'finished 1']);
    expect(await effects()).toEqual(['1 begun', '1 done']);
    expect((await waiting(Orders)).map(({ payload }) => payload)).toEqual([2, 3, 4, 5, 6]);

    const { provider, received } = collector(Orders);
    await using _other = await start({ providers: [provider] });
    const rest = await received.take(5);
    expect(payloadsOf(rest)).toEqual([2, 3, 4, 5, 6]);
    expect(rest.map(({ notification }) => notification.attempt)).toEqual([1, 1, 1, 1, 1]);
  });

  it('aborts and undoes a handler that does not end in time, and another application handles its row', async () => {
    const held = holding();
    const app = await start({ providers: [held.provider], options: { shutdownTimeoutMs: 100 } });
    await app.pubsub.notify(Orders, 1);
    await held.log.next();
    await app.close();
    expect(held.log.all).toContain('aborted');
    await app.log.find(({ text }) => text.includes('timed out after 100 ms; still running: the claims of channel "orders"')); // prettier-ignore
    const { provider, received } = collector(Orders);
    await using _other = await start({ providers: [provider] });
    expect((await received.next()).payload).toBe(1);
    await settled(Orders);
    held.release();
    await using _third = await start({ providers: [collector(Orders).provider] });
    expect(await effects()).toEqual([]);
    expect(held.log.all).not.toContain('finished 1');
    const errors = app.log.all.filter(({ level }) => level === 'error');
    expect(errors).toEqual([]);
  });

  it('does not wait for a running statement of a handler', async () => {
    const started = new Mailbox<number>();
    @Injectable()
    class Sleeping {
      @Listener(Orders)
      async receive(_: number, { manager }: Notification) {
        const [row] = await manager.query<{ pid: number }[]>('select pg_backend_pid() as pid');
        started.push(Number(row?.pid));
        await manager.query('select pg_sleep(20)');
      }
    }
    const app = await start({ providers: [Sleeping], options: { shutdownTimeoutMs: 100 } });
    await app.pubsub.notify(Orders, 1);
    const pid = await started.next();
    const before = performance.now();
    await app.close();
    expect(performance.now() - before).toBeLessThan(10_000);
    await query('select pg_terminate_backend($1)', [pid]); // the server itself would notice only after the statement
    const { provider, received } = collector(Orders);
    await using _other = await start({ providers: [provider] });
    expect((await received.next()).payload).toBe(1);
  });
});

describe('the start of an application', () => {
  it('fails with the remedy without the storage, which `synchronize` creates', async () => {
    await using database = await TestDatabase.create();
    const { provider, received } = collector(Orders);
    const url = database.url;
    await expect(TestApp.start({ url, providers: [provider] })).rejects.toMatchObject({
      code: 'SCHEMA_DRIFTED',
      message: expect.stringMatching(/pgpubsub_notification[\s\S]*migration/) as string,
    });
    await using app = await TestApp.start({ url, providers: [provider], options: { synchronize: true } });
    await app.pubsub.notify(Orders, 1);
    expect((await received.next()).payload).toBe(1);
  });

  it('accepts a storage in a schema of its own', async () => {
    await using database = await TestDatabase.create();
    await database.query('create schema "My queue"');
    const { provider, received } = collector(Orders);
    await using app = await TestApp.start({
      url: database.url,
      providers: [provider],
      options: { synchronize: true, schema: 'My queue' },
    });
    await app.pubsub.notify(Orders, 1);
    await database.query(`select "My queue".pgpubsub_notify('orders', '2')`);
    expect(new Set(payloadsOf(await received.take(2)))).toEqual(new Set([1, 2]));
    const [row] = await database.query<{ n: number }>(`select count(*)::int as n from pg_tables where schemaname = 'My queue'`); // prettier-ignore
    expect(row?.n).toBe(4);
  });

  it('handles only the channels in `listen`', async () => {
    const orders = collector(Orders);
    const Others = defineChannel<number>('others', { delivery: 'exactly-once' });
    const others = collector(Others);
    await using app = await start({ providers: [orders.provider, others.provider], options: { listen: [Others] } }); // prettier-ignore
    await app.pubsub.notify(Orders, 1);
    await app.pubsub.notify(Others, 2);
    expect((await others.received.next()).payload).toBe(2);
    await app.pubsub.recover();
    expect(await waiting(Orders)).toHaveLength(1);
    expect(orders.received.all).toEqual([]);
  });
});

it('two instances store and handle in two databases', async () => {
  await using one = await TestDatabase.create();
  await using two = await TestDatabase.create();
  const seen = new Mailbox<string>();
  @Injectable()
  class Listeners {
    constructor(
      @InjectPubSub() readonly pubsub: PubSubService,
      @InjectPubSub('reporting') readonly reporting: PubSubService,
    ) {}

    @Listener(Orders)
    async first(payload: number, { manager }: Notification) {
      seen.push(`first ${payload} ${await nameOf(manager)}`);
    }
    @Listener(Orders, { instance: 'reporting' })
    async second(payload: number, { manager }: Notification) {
      seen.push(`second ${payload} ${await nameOf(manager)}`);
    }
  }
  await using app = await TestApp.start({
    url: one.url,
    providers: [Listeners],
    options: { synchronize: true },
    imports: [
      TypeOrmModule.forRoot({ name: 'reporting', type: 'postgres', url: two.url }),
      PgPubSubModule.forRoot({ name: 'reporting', dataSource: 'reporting', synchronize: true }),
    ],
  });
  const { pubsub, reporting } = app.app.get(Listeners);
  await pubsub.notify(Orders, 1);
  await reporting.notify(Orders, 2);
  expect((await seen.take(2)).toSorted()).toEqual([`first 1 ${one.name}`, `second 2 ${two.name}`]);
});

const nameOf = async (manager: Notification['manager']): Promise<string> => {
  const [row] = await manager.query<{ name: string }[]>('select current_database() as name');
  return String(row?.name);
};

it('a claim that waits for a connection of the pool takes no rows after pause()', async () => {
  const seen = new Mailbox<unknown>();
  @Injectable()
  class Handler {
    @Listener(Orders)
    receive(payload: unknown) {
      seen.push(payload);
    }
  }
  await using app = await start({ providers: [Handler], dataSource: { poolSize: 1 } });
  await app.pubsub.recover();
  const { master: pool } = app.dataSource.driver as unknown as {
    master: { waitingCount: number; idleCount: number };
  };
  const runner = app.dataSource.createQueryRunner();
  await runner.connect();
  await query(`select pgpubsub_notify('${Orders.name}', '1')`);
  await eventually(() => pool.waitingCount === 1, 'the claim waits for the connection');
  await app.pubsub.pause();
  await runner.release();
  await eventually(() => pool.idleCount === 1, 'the claim has given the connection back');
  expect(await waiting(Orders)).toHaveLength(1);
  expect(seen.all).toEqual([]);
  await app.pubsub.resume();
  expect(await seen.next()).toBe(1);
});
