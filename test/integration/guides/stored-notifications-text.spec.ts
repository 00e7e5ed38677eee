import { Catch, Injectable, UseFilters, type ExceptionFilter } from '@nestjs/common';
import {
  ACKNOWLEDGED,
  Listener,
  NotifyChanges,
  PubSubService,
  defineChannel,
  withPgPubSub,
  type Notification,
} from 'nestjs-pgpubsub';
import pg from 'pg';
import { DataSource, Entity, EventSubscriber, PrimaryColumn, type EntitySubscriberInterface } from 'typeorm';
import { describe, expect, it } from 'vitest';
import { TestApp, type TestAppOptions } from '../../support/app.js';
import { useDatabase } from '../../support/use-database.js';
import { Account, PageView, Purchase, Reservation } from './stored-notifications.app.js';

const database = useDatabase({ per: 'test' });

const ENTITIES = [Purchase, Reservation, Account, PageView];

const start = (options: TestAppOptions): Promise<TestApp> =>
  database.start({
    ...options,
    dataSource: { entities: ENTITIES, synchronize: true, ...options.dataSource },
    options: { synchronize: true, retry: { minDelayMs: 50, maxDelayMs: 50 }, ...options.options },
  });

async function expectEmpty({ pubsub }: TestApp): Promise<void> {
  const rest = () => pubsub.recover().then(() => pubsub.stored.count());
  await expect.poll(rest, { timeout: 10_000, interval: 20 }).toBe(0);
}

describe('the rules of docs/stored-notifications.md', () => {
  const Words = defineChannel<string>('words', { delivery: 'exactly-once' });
  const Echo = defineChannel<string>('echo', { delivery: 'exactly-once' });

  it('an exception filter that returns ACKNOWLEDGED completes the notification', async () => {
    @Catch()
    class Answers implements ExceptionFilter {
      catch = () => ACKNOWLEDGED;
    }
    class Handler {
      @Listener(Words)
      @UseFilters(Answers)
      fail() {
        throw new Error('filtered');
      }
    }
    await using app = await start({ providers: [Handler] });
    await app.pubsub.notify(Words, 'a');
    await app.pubsub.recover();
    await expect(app.pubsub.stored.count()).resolves.toBe(0);
    await expect(database.query('select from pgpubsub_dead_letter')).resolves.toHaveLength(0);
  });

  it('notifications of a handler are stored if and only if it succeeds, with the context that it passes on', async () => {
    @Injectable()
    class Handler {
      constructor(private readonly pubsub: PubSubService) {}

      @Listener(Words, { retry: { maxAttempts: 1 } })
      async answer(word: string, { manager, context }: Notification) {
        await this.pubsub.notify(Echo, word, { manager });
        const send = () => this.pubsub.notify(Echo, `${word}!`, { manager });
        await this.pubsub.withContext(context, send, { manager });
        if (word === 'b') throw new Error('no');
      }
    }
    await using app = await start({ providers: [Handler], options: { context: () => ({ app: 'x' }) } });
    await app.pubsub.notify(Words, 'a', { context: { tenant: 't' } });
    await app.pubsub.notify(Words, 'b');
    await app.pubsub.recover();
    const echoes = await listed(app.pubsub.stored.pending({ channel: Echo }));
    expect(echoes.map(({ payload, context }) => [payload, context])).toEqual([
      ['a', { app: 'x' }],
      ['a!', { app: 'x', tenant: 't' }],
    ]);
  });

  it('subscribers receive events of rows, but not of the commit of the claim', async () => {
    const heard: string[] = [];
    @EventSubscriber()
    class Subscriber implements EntitySubscriberInterface {
      afterInsert() {
        heard.push('insert');
      }
      afterTransactionCommit() {
        heard.push('commit');
      }
    }
    class Handler {
      @Listener(Words)
      async write(path: string, { manager }: Notification) {
        await manager.save(PageView, { path });
      }
    }
    await using app = await start({ providers: [Handler], dataSource: { subscribers: [Subscriber] } });
    heard.length = 0;
    await app.pubsub.notify(Words, 'a');
    await app.pubsub.recover();
    expect(heard).toEqual(['insert']);
  });

  it('a pool of one connection is enough', async () => {
    class Handler {
      @Listener(Words)
      async write(path: string, { manager }: Notification) {
        await manager.insert(PageView, { path });
      }
    }
    await using app = await start({ providers: [Handler], dataSource: { extra: { max: 1 } } });
    await app.pubsub.notifyMany(
      Words,
      Array.from({ length: 500 }, (_, n) => `${n}`),
    );
    await expectEmpty(app);
    await expect(database.query('select from page_view')).resolves.toHaveLength(500);
  });

  it('a claim uses read committed, with any default of the database', async () => {
    const levels: string[] = [];
    class Handler {
      @Listener(Words)
      async look(_: string, { manager }: Notification) {
        const rows: { transaction_isolation: string }[] = await manager.query('show transaction_isolation');
        levels.push(rows[0]?.transaction_isolation ?? '');
      }
    }
    await database.query(
      `alter database ${database.name} set default_transaction_isolation = 'serializable'`,
    );
    await using app = await start({ providers: [Handler] });
    await app.pubsub.notify(Words, 'a');
    await app.pubsub.recover();
    expect(levels).toEqual(['read committed']);
  });

  it('the process that claims a row completes it, although other processes have other listeners', async () => {
    const calls: string[] = [];
    class One {
      @Listener(Words)
      one(word: string) {
        calls.push(`one ${word}`);
      }
    }
    class Two {
      @Listener(Words)
      two(word: string) {
        calls.push(`two ${word}`);
      }
    }
    await using first = await start({ providers: [One] });
    await using second = await start({ providers: [Two] });
    await first.pubsub.notify(Words, 'a');
    await expectEmpty(second);
    expect(calls).toHaveLength(1);
  });

  it('triggers and the function store with the rights of the caller, and handling needs the documented rights', async () => {
    @Entity('thing')
    @NotifyChanges({ on: ['insert'], delivery: 'exactly-once' })
    class Thing {
      @PrimaryColumn('integer')
      id!: number;
    }
    class Handler {
      @Listener(Words, { retry: { maxAttempts: 2 } })
      handle(word: string, { attempt }: Notification) {
        if (word === 'dead' || attempt === 1) throw new Error(word);
      }
    }
    const source = new DataSource({ type: 'postgres', url: database.url, entities: [Thing] });
    const owner = await withPgPubSub(source, { channels: [Words] }).initialize();
    await owner.synchronize();
    const role = database.name;
    const url = new URL(database.url);
    url.username = role;
    await database.query(`create role ${role} login`);
    await database.query(`grant insert on thing to ${role}`);
    try {
      const client = new pg.Client(url.href);
      await client.connect();
      const change = (id: number) => client.query('insert into thing values ($1)', [id]);
      const call = () => client.query(`select pgpubsub_notify('words', '"sql"')`);

      await expect(change(1)).rejects.toThrow('permission denied for table pgpubsub_notification');
      await database.query(`grant insert on pgpubsub_notification to ${role}`);
      await expect(change(2)).resolves.toBeDefined();
      await expect(call()).rejects.toThrow('permission denied for table pgpubsub_notification');
      await database.query(`grant select (id) on pgpubsub_notification to ${role}`);
      await expect(call()).resolves.toBeDefined();
      await client.end();

      await database.query(`grant select, update, delete on pgpubsub_notification to ${role}`);
      await database.query(`grant select, insert on pgpubsub_dead_letter to ${role}`);
      await using app = await TestApp.start({
        url: url.href,
        providers: [Handler],
        options: { retry: { minDelayMs: 50, maxDelayMs: 50 } },
      });
      await app.pubsub.notifyMany(Words, ['alive', 'dead']);
      const { stored } = app.pubsub;
      await expect.poll(() => stored.count({ channel: Words }), { timeout: 10_000 }).toBe(0);
      await expect(listed(stored.deadLetters())).resolves.toMatchObject([{ payload: 'dead' }]);
      await app.close();
    } finally {
      await owner.destroy();
      await database.query(`drop owned by ${role}; drop role ${role}`);
    }
  });
});

async function listed<T>(items: AsyncIterable<T>): Promise<T[]> {
  const all: T[] = [];
  for await (const item of items) all.push(item);
  return all;
}
