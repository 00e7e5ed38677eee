import { Injectable } from '@nestjs/common';
import {
  NotifyChanges,
  OnChange,
  defineChannel,
  withPgPubSub,
  type EntityChange,
  type Notification,
} from 'nestjs-pgpubsub';
import { Column, Entity, PrimaryGeneratedColumn } from 'typeorm';
import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from 'vitest';
import { TestApp } from '../../support/app.js';
import { collector } from '../../support/listeners.js';
import { Mailbox, eventually } from '../../support/mailbox.js';
import { PgBouncer } from '../../support/pg-bouncer.js';
import { recordStatements } from '../../support/stored.js';
import { useDatabase } from '../../support/use-database.js';

@Entity()
@NotifyChanges()
class Author {
  @PrimaryGeneratedColumn() id!: number;
  @Column('text') name!: string;
}

describe.skipIf(!PgBouncer.isInstalled)('PgBouncer in transaction mode (where it is installed)', () => {
  const database = useDatabase();
  let pooler: PgBouncer;
  beforeAll(async () => {
    pooler = await PgBouncer.start(database.url, 1); // one server session for all clients
  });
  afterEach(() => vi.restoreAllMocks());
  afterAll(() => pooler[Symbol.asyncDispose]());

  /** Writes through the pooler, and listens on a direct connection. */
  const start = (provider: new () => object, context?: () => object) =>
    TestApp.start({
      url: pooler.url,
      providers: [provider],
      options: { connection: database.url, synchronize: true, ...(context && { context }) },
      dataSource: { entities: [Author] },
      patch: withPgPubSub,
    });

  it('carries table changes, each with the context of its own writer', async () => {
    const seen = new Mailbox<[string | undefined, object]>();
    @Injectable()
    class Authors {
      @OnChange(Author)
      changed({ entity }: EntityChange<Author>, { context }: Notification) {
        seen.push([entity?.name, context]);
      }
    }
    await database.query('create table author (id serial primary key, name text not null)');
    await using app = await start(Authors);
    @Injectable()
    class Nobody {}
    await using other = await start(Nobody, () => ({ tenant: 'b' }));
    const session = (at: TestApp) => at.dataSource.query('select pg_backend_pid()');
    expect(await session(app)).toEqual(await session(other));

    const insert = (at: TestApp, name: string) => at.dataSource.getRepository(Author).insert({ name });
    await insert(app, 'without');
    await app.pubsub.withContext({ tenant: 'a' }, async (manager) => {
      await manager.insert(Author, { name: 'a' });
    });
    await insert(other, 'b');
    await insert(app, 'still without');
    await other.dataSource.query(`insert into author (name) values ('b, too')`);
    await expect(insert(other, null as never)).rejects.toThrow('null value');
    const waiting = insert(app, 'at last');
    await app.pubsub.withContext({ tenant: 'a' }, (manager) => manager.insert(Author, { name: 'a again' }));
    await waiting;
    await database.query(`insert into author (name) values ('direct')`);

    const all = await seen.take(8);
    expect(Object.fromEntries(all)).toEqual({
      without: {},
      a: { tenant: 'a' },
      b: { tenant: 'b' },
      'still without': {},
      'b, too': { tenant: 'b' },
      'at last': {},
      'a again': { tenant: 'a' },
      direct: {},
    });
  });

  it('makes an application without a direct connection deaf, which logs the remedy and handles stored notifications by polling', async () => {
    const Stored = defineChannel<number>('stored', { delivery: 'exactly-once' });
    const { provider, received } = collector(Stored);
    await using app = await TestApp.start({
      url: pooler.url,
      providers: [provider],
      options: {
        synchronize: true,
        heartbeat: { timeoutMs: 3_000 },
        poll: { intervalMs: 600_000, deafIntervalMs: 50 },
      },
    });
    const line = await app.log.find(({ text }) => text.includes('goes through a transaction pooler'));
    expect(line.level).toBe('warn');
    expect(line.text).toContain('Set the option "connection" to a direct URL');
    const sent = recordStatements();
    const looks = () => sent.filter(({ text }) => text.includes('for update skip locked')).length;
    await eventually(() => looks() > 10, 'it looks by itself');
    await app.pubsub.notify(Stored, 1);
    expect((await received.next()).payload).toBe(1);
  });
});
