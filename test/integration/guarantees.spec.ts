import { Injectable } from '@nestjs/common';
import { Listener, NotifyChanges, OnChange, defineChannel, withPgPubSub, type EntityChange, type Gap, type Notification } from 'nestjs-pgpubsub'; // prettier-ignore
import pg from 'pg';
import { Column, DataSource, Entity, PrimaryGeneratedColumn } from 'typeorm';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { collector, payloadsOf } from '../support/listeners.js';
import { Mailbox } from '../support/mailbox.js';
import { STORED } from '../support/storage.js';
import { Effect, useStored } from '../support/stored.js';
import { TcpProxy } from '../support/tcp-proxy.js';

// The limits in docs/guarantees.md. The tests of a subject contain its guarantees.

const { start, query, database, waiting, settled, effects } = useStored();
afterEach(() => {
  vi.useRealTimers();
  return query('truncate pgpubsub_notification, pgpubsub_dead_letter, effect');
});

const News = defineChannel<string>('news');
const Orders = defineChannel<unknown>('stored_orders', { delivery: 'exactly-once' });

describe('a broadcast', () => {
  it('that no process receives is lost, and later processes do not get it', async () => {
    await using sender = await start({ options: { listen: false } });
    await sender.pubsub.notify(News, 'before');
    const { provider, received } = collector(News);
    await using _app = await start({ providers: [provider] });
    await sender.pubsub.notify(News, 'after');
    expect((await received.next()).payload).toBe('after');
  });

  it('that was sent while the LISTEN connection was down does not arrive later, and the gap covers its time', async () => {
    await using proxy = await TcpProxy.start(database.url);
    const { provider, received } = collector(News);
    const heartbeat = { intervalMs: 50, timeoutMs: 3_000 };
    await using app = await start({ providers: [provider], options: { connection: proxy.url, heartbeat } });
    const gaps = new Mailbox<Gap>();
    app.pubsub.gaps$.subscribe(gaps.push);
    proxy.silence();
    await app.pubsub.notify(News, 'meanwhile');
    const sentAt = Date.now(); // notifications from before the silence have been received by now
    const { channels, from, to } = await gaps.next();
    await app.pubsub.notify(News, 'after');

    expect((await received.next()).payload).toBe('after');
    expect(channels).toContain('news');
    expect(from.getTime()).toBeLessThanOrEqual(sentAt);
    expect(to.getTime()).toBeGreaterThanOrEqual(sentAt);
  });

  it('blocks all handlers of its process when its handler computes without a pause', async () => {
    const Others = defineChannel<string>('others');
    const { provider, received } = collector(Others);
    const computed = new Mailbox<number>();
    @Injectable()
    class Computes {
      @Listener(News)
      compute() {
        const end = performance.now() + 300;
        while (performance.now() < end);
        computed.push(received.all.length);
      }
    }
    await using app = await start({ providers: [Computes, provider] });
    await app.dataSource.transaction(async (manager) => {
      await app.pubsub.notify(News, 'long', { manager });
      await app.pubsub.notify(Others, 'behind', { manager });
    });

    await received.next();
    expect(computed.all).toEqual([0]);
  });

  it('arrives once when its transaction, or its notifyMany(), sends the same text several times', async () => {
    const { provider, received } = collector(News);
    await using app = await start({ providers: [provider] });
    await app.dataSource.transaction(async (manager) => {
      for (const word of ['same', 'other', 'same']) await app.pubsub.notify(News, word, { manager });
    });
    await app.pubsub.notifyMany(News, ['same', 'same', 'end']);
    expect(payloadsOf(await received.take(4))).toEqual(['same', 'other', 'same', 'end']);
  });

  it('without a manager is sent immediately, and independent of the transaction around it', async () => {
    const { provider, received } = collector(News);
    await using app = await start({ providers: [provider] });
    const failing = app.dataSource.transaction(async () => {
      await app.pubsub.notify(News, 'at once');
      expect((await received.next()).payload).toBe('at once');
      throw new Error('no');
    });
    await expect(failing).rejects.toThrow('no');
  });

  it('is received by every role that may connect, because channels have no permissions', async () => {
    await using app = await start();
    const role = database.name;
    await query(`create role ${role} login`);
    const stranger = new pg.Client({ connectionString: database.url, user: role });
    try {
      await stranger.connect();
      const heard = new Mailbox<string | undefined>();
      stranger.on('notification', ({ payload }) => heard.push(payload));
      await stranger.query('listen news');
      await app.pubsub.notify(News, 'for all');
      expect(await heard.next()).toBe('"for all"');
    } finally {
      await stranger.end();
      await query(`drop role ${role}`);
    }
  });
});

describe('a stored notification', () => {
  it('is not created by NOTIFY on its channel, which calls no listener', async () => {
    const { provider, received } = collector(Orders);
    await using app = await start({ providers: [provider] });
    await query(`notify stored_orders, '"by hand"'`);
    await app.pubsub.notify(Orders, 'stored');
    expect((await received.next()).payload).toBe('stored');
    await settled(Orders);
    expect(received.untaken).toEqual([]);
  });

  it('does not undo the writes of its handler without `manager`', async () => {
    @Injectable()
    class Handler {
      constructor(private readonly dataSource: DataSource) {}
      @Listener(Orders, { retry: { maxAttempts: 2 } })
      async write(_: unknown, { manager }: Notification) {
        await manager.insert(Effect, { what: 'within' });
        await this.dataSource.manager.insert(Effect, { what: 'past it' });
        throw new Error('no');
      }
    }
    await using app = await start({ providers: [Handler] });
    await app.pubsub.notify(Orders, 1);
    await settled(Orders);
    expect(await effects()).toEqual(['past it', 'past it']);
  });

  it("has times of the server's clock, except `availableAt`, which is the time of its sender", async () => {
    await using app = await start({ options: { listen: false } });
    vi.useFakeTimers({ toFake: ['Date'], now: Date.UTC(2100, 0, 1) });
    await app.pubsub.notify(Orders, 'delayed', { delayMs: 60_000 });
    await app.pubsub.notify(Orders, 'dated', { availableAt: new Date(Date.now() + 60_000) });
    vi.useRealTimers();

    const [delayed, dated] = await waiting(Orders);
    const ageMs = Date.now() - Number(delayed?.created_at); // server and test run on one machine
    expect(ageMs).toBeGreaterThan(-1_000);
    expect(ageMs).toBeLessThan(60_000);
    expect(Number(delayed?.available_at) - Number(delayed?.created_at)).toBeCloseTo(60_000, -2);
    expect(dated?.available_at).toEqual(new Date(Date.UTC(2100, 0, 1, 0, 1)));
  });
});

@Entity()
@NotifyChanges()
class Author {
  @PrimaryGeneratedColumn() id!: number;
  @Column('text') name!: string;
}

describe('a change of a table', () => {
  /** Collects the operation and the name of each change. */
  async function watch() {
    const seen = new Mailbox<string>();
    @Injectable()
    class Authors {
      @OnChange(Author)
      changed({ operation, entity }: EntityChange<Author>) {
        seen.push(`${operation} ${entity?.name ?? ''}`);
      }
    }
    const app = await start({
      providers: [Authors],
      dataSource: { entities: [Effect, Author], synchronize: true },
      patch: (source) => withPgPubSub(source, { channels: [STORED] }),
    });
    return { app, seen };
  }
  const insert = (name: string) => `insert into author (name) values ('${name}')`;

  it('that replication applies is not notified, unless its trigger is set to fire always', async () => {
    const { app, seen } = await watch();
    await using _app = app;
    const apply = (name: string) => `set session_replication_role = replica; ${insert(name)}`;
    await query(apply('applied'));
    await query(insert('written'));
    expect(await seen.next()).toBe('insert written');

    const triggers = await query<{ tgname: string }>(
      `select tgname from pg_trigger where tgrelid = 'author'::regclass and tgname like '\\_pgpubsub%'`,
    );
    for (const { tgname } of triggers)
      await query(`alter table author enable always trigger ${pg.escapeIdentifier(tgname)}`);
    await query(apply('applied, always'));
    expect(await seen.next()).toBe('insert applied, always');
  });

  it('is never notified when its trigger was disabled', async () => {
    const { app, seen } = await watch();
    await using _app = app;
    await query('alter table author disable trigger all');
    await query(insert('unseen'));
    await query('alter table author enable trigger all');
    await query(insert('seen'));
    expect(await seen.next()).toBe('insert seen');
  });

  it('that its transaction makes twice is broadcast once', async () => {
    const { app, seen } = await watch();
    await using _app = app;
    await query('truncate author');
    await query(insert('a'));
    await app.dataSource.transaction(async (manager) => {
      for (const name of ['b', 'a', 'b']) await manager.query(`update author set name = '${name}'`);
    });
    await query(`update author set name = 'c'`);

    expect(await seen.take(4)).toEqual(['insert a', 'update b', 'update a', 'update c']);
  });

  it('that ALTER TABLE makes by rewriting the table is not notified', async () => {
    const { app, seen } = await watch();
    await using _app = app;
    await query('truncate author');
    await query(insert('quiet'));
    await query('alter table author alter column name type text using upper(name)');
    await query(insert('afterwards'));

    expect(await seen.take(2)).toEqual(['insert quiet', 'insert afterwards']);
    await expect(query('select name from author order by id')).resolves.toEqual([
      { name: 'QUIET' },
      { name: 'afterwards' },
    ]);
  });

  it('made by TRUNCATE is not notified unless the declaration names it', async () => {
    const { app, seen } = await watch();
    await using _app = app;
    await query('truncate author');
    await query(insert('afterwards'));
    expect(await seen.next()).toBe('insert afterwards');
  });
});
