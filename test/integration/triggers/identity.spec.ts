import { Injectable } from '@nestjs/common';
import { Column, DataSource, Entity, PrimaryGeneratedColumn, VirtualColumn } from 'typeorm';
import {
  Listener,
  NotifyChanges,
  createNotifyTrigger,
  dropNotifyTrigger,
  withPgPubSub,
  type EntityChange,
  type TriggerDeclaration,
} from 'nestjs-pgpubsub';
import { afterEach, beforeAll, describe, expect, it, vi } from 'vitest';
import { TestApp, type TestAppOptions } from '../../support/app.js';
import { Mailbox } from '../../support/mailbox.js';
import { recordStatements } from '../../support/stored.js';
import { useDatabase } from '../../support/use-database.js';

/**
 * A channel is identified by its name, a table by its schema and name, and a change by the
 * declaration that sends it.
 */

const database = useDatabase();
beforeAll(() => database.query('create schema s1; create schema s2'));
afterEach(async () => {
  vi.restoreAllMocks();
  await database.query('drop table if exists author, book, secret, s1.item, s2.item cascade');
});

const start = (entities: (new () => object)[], options: Partial<TestAppOptions> = {}): Promise<TestApp> =>
  database.start({ dataSource: { entities, synchronize: true }, patch: withPgPubSub, ...options });

/** Creates the classes of the tables author and book for a delivery, which share a channel. */
function createEntities(delivery: 'broadcast' | 'exactly-once') {
  @Entity()
  @NotifyChanges({ channel: `audit_${delivery}`, delivery, on: ['insert', 'update'] })
  class Author {
    @PrimaryGeneratedColumn() id!: number;
    @Column('text') name!: string;
  }
  @Entity()
  @NotifyChanges({ channel: `audit_${delivery}`, delivery, on: ['insert', 'update'] })
  class Book {
    @PrimaryGeneratedColumn() id!: number;
    @Column('text') title!: string;
  }
  return { Author, Book };
}

describe.each(['broadcast', 'exactly-once'] as const)('entities that share a channel, %s', (delivery) => {
  const channel = `audit_${delivery}`;

  it('notify the listeners of each entity, and those of the channel name', async () => {
    const { Author, Book } = createEntities(delivery);
    const seen = new Mailbox<string>();
    @Injectable()
    class Listeners {
      @Listener(Author)
      author({ table, entity }: EntityChange) {
        seen.push(`Author: ${table} ${entity?.constructor.name ?? ''}`);
      }
      @Listener(Book)
      book({ table, entity }: EntityChange) {
        seen.push(`Book: ${table} ${entity?.constructor.name ?? ''}`);
      }
      @Listener(channel, { name: 'all' })
      all({ table }: EntityChange) {
        seen.push(`all: ${table}`);
      }
    }
    await using app = await start([Author, Book], { providers: [Listeners] });
    await app.dataSource.manager.save(Author, { name: 'Ada' });
    await app.dataSource.manager.save(Book, { title: 'Notes' });
    expect((await seen.take(4)).toSorted()).toEqual([
      'Author: author Author',
      'Book: book Book',
      'all: author',
      'all: book',
    ]);
    await app.dataSource.manager.save(Author, { name: 'Grace' });
    expect((await seen.take(2)).toSorted()).toEqual(['Author: author Author', 'all: author']);
    expect(seen.untaken).toEqual([]);
  });
});

describe('observers of entities that share a channel', () => {
  it('receive the changes of the entities that they name', async () => {
    const { Author, Book } = createEntities('broadcast');
    await using app = await start([Author, Book]);
    const seen = { authors: new Mailbox<string>(), both: new Mailbox<string>(), name: new Mailbox<string>() };
    const tableOf = ({ payload }: { payload: unknown }) => (payload as EntityChange).table;
    const { pubsub } = app;
    pubsub.observe(Author).subscribe((one) => seen.authors.push(tableOf(one)));
    pubsub.observe(Author, Book).subscribe((one) => seen.both.push(tableOf(one)));
    pubsub.observe(Author, 'audit_broadcast').subscribe((one) => seen.name.push(tableOf(one)));
    const ready = { operation: 'update', schema: 'public', table: 'author', old: null, new: null };
    await pubsub.notify('audit_broadcast', ready); // waits until LISTEN is in force
    for (const mailbox of Object.values(seen)) await mailbox.next();
    await app.dataSource.manager.save(Book, { title: 'Notes' });
    await app.dataSource.manager.save(Author, { name: 'Ada' });
    expect(await seen.both.take(2)).toEqual(['book', 'author']);
    expect(await seen.name.take(2)).toEqual(['book', 'author']);
    expect(await seen.authors.take(1)).toEqual(['author']);
    expect(seen.authors.untaken).toEqual([]);
  });
});

describe('tables with one name in two schemas', () => {
  it.each(['broadcast', 'exactly-once'] as const)('have different channels, %s', async (delivery) => {
    @Entity({ schema: 's1', name: 'item' })
    @NotifyChanges({ delivery })
    class First {
      @PrimaryGeneratedColumn() id!: number;
    }
    @Entity({ schema: 's2', name: 'item' })
    @NotifyChanges({ delivery })
    class Second {
      @PrimaryGeneratedColumn() id!: number;
    }
    const seen = new Mailbox<string>();
    @Injectable()
    class Listeners {
      @Listener(First)
      first({ schema }: EntityChange, { channel }: { channel: string }) {
        seen.push(`first: ${schema} on ${channel}`);
      }
      @Listener(Second)
      second({ schema }: EntityChange, { channel }: { channel: string }) {
        seen.push(`second: ${schema} on ${channel}`);
      }
    }
    await using app = await start([First, Second], { providers: [Listeners] });
    await app.dataSource.manager.save(First, {});
    await app.dataSource.manager.save(Second, {});
    expect((await seen.take(2)).toSorted()).toEqual(['first: s1 on s1.item', 'second: s2 on s2.item']);
    expect(seen.untaken).toEqual([]);
  });

  it('have different channels in handwritten migrations, too', async () => {
    const primaryKey = ['id'];
    const triggers = [
      { schema: 's1', table: 'item', primaryKey },
      { table: 'item', primaryKey },
    ];
    const options = { triggers, owner: 'handwritten' };
    const source = withPgPubSub(new DataSource({ type: 'postgres', url: database.url }), options);
    await source.initialize();
    const client = await database.client();
    const heard = new Mailbox<string>();
    client.on('notification', ({ channel }) => heard.push(channel));
    try {
      await client.query('create table s1.item (id int primary key); create table item (id int primary key)');
      await client.query('listen item; listen "s1.item"');
      const runner = source.createQueryRunner();
      for (const literals of triggers) await createNotifyTrigger(runner, literals);
      await client.query('insert into s1.item values (1); insert into item values (1)');
      expect((await heard.take(2)).toSorted()).toEqual(['item', 's1.item']);
      expect((await source.driver.createSchemaBuilder().log()).upQueries).toEqual([]);
      for (const literals of triggers) await dropNotifyTrigger(runner, literals);
      await runner.release();
      await client.query('insert into s1.item values (2); insert into item values (2); notify item');
      expect(await heard.take(1)).toEqual(['item']);
      expect(heard.untaken).toEqual([]);
      await client.query('drop table item');
    } finally {
      await client.end();
      await source.destroy();
    }
  });
});

describe('a change that is not declared on its channel', () => {
  const forged = (change: object) => `select pg_notify('audit_broadcast', '${JSON.stringify(change)}')`;

  it.each([
    [
      'another table of the application',
      { operation: 'update', schema: 'public', table: 'secret', truncated: true, new: { id: 1 } },
    ],
    [
      'the same table in another schema',
      { operation: 'insert', schema: 's1', table: 'author', new: { id: 1 } },
    ],
    [
      'an operation that no trigger sends',
      { operation: 'delete', schema: 'public', table: 'author', old: { id: 1 } },
    ],
    ['no schema', { operation: 'insert', table: 'author', new: { id: 1 } }],
  ])('is rejected before anything is loaded: %s', async (_name, change) => {
    const { Author, Book } = createEntities('broadcast');
    @Entity()
    class Secret {
      @PrimaryGeneratedColumn() id!: number;
    }
    const seen = new Mailbox<unknown>();
    @Injectable()
    class Listeners {
      @Listener('audit_broadcast')
      any(payload: EntityChange) {
        seen.push(payload.table);
      }
    }
    await using app = await start([Author, Book, Secret], { providers: [Listeners] });
    const rejected = new Mailbox<{ error: { code: string } }>();
    app.pubsub.events$.subscribe((event) => {
      if (event.type === 'rejected') rejected.push(event as never);
    });
    const sent = recordStatements();
    await database.query(forged(change));
    await app.dataSource.manager.save(Author, { name: 'Ada' });
    expect((await rejected.next()).error.code).toBe('INVALID_PAYLOAD');
    expect(await seen.next()).toBe('author');
    expect(seen.untaken).toEqual([]);
    expect(sent.map(({ text }) => text).filter((text) => /from "secret"/i.test(text))).toEqual([]);
  });

  it('is rejected when it is sent', async () => {
    const { Author, Book } = createEntities('broadcast');
    await using app = await start([Author, Book]);
    const change = { operation: 'insert', schema: 'public', table: 'reader', old: null, new: { id: 1 } };
    await expect(app.pubsub.notify('audit_broadcast', change)).rejects.toMatchObject({
      code: 'INVALID_PAYLOAD',
      message: expect.stringContaining('insert, update on "public"."author"') as string,
    });
  });
});

describe('a contradictory declaration', () => {
  const declare = (options: object) => () => {
    class Example {
      id!: number;
      text!: string;
      computed!: string;
    }
    PrimaryGeneratedColumn()(Example.prototype, 'id');
    Column('text')(Example.prototype, 'text');
    VirtualColumn('text', { query: (alias) => `select ${alias}.text` })(Example.prototype, 'computed');
    Entity()(Example);
    NotifyChanges(options)(Example);
    return database.start({ dataSource: { entities: [Example] }, patch: withPgPubSub });
  };

  it.each<[string, object, RegExp]>([
    ['"of" with a computed property', { of: ['computed'] }, /"computed", which is computed by a query/],
    [
      '"columns" with a computed property',
      { columns: ['computed'] },
      /"computed", which is computed by a query/,
    ],
    [
      '"exclude" with a computed property',
      { exclude: ['computed'] },
      /"computed", which is computed by a query/,
    ],
    ['"exclude" with an unknown property', { exclude: ['nothing'] }, /properties of the entity .*"nothing"/],
    ['"of" without updates', { on: 'insert', of: ['text'] }, /"of" together with the operation update/],
    [
      '"when" without rows',
      { on: 'truncate', when: 'NEW.id > 1' },
      /"when" together with operations on rows/,
    ],
    ['"columns" and "exclude"', { columns: ['id'], exclude: ['text'] }, /"columns" or "exclude"/],
  ])('makes the start fail: %s', async (_name, options, message) => {
    await expect(declare(options)()).rejects.toMatchObject({
      code: 'INVALID_TRIGGER',
      message: expect.stringMatching(message) as string,
    });
  });

  it('makes a migration fail when its default channel has more than 63 bytes', async () => {
    const table = 't'.repeat(61);
    const triggers: TriggerDeclaration[] = [{ schema: 's1', table }];
    const source = withPgPubSub(new DataSource({ type: 'postgres', url: database.url }), { triggers });
    await source.initialize();
    try {
      await expect(source.driver.createSchemaBuilder().log()).rejects.toMatchObject({
        code: 'INVALID_TRIGGER',
        message: expect.stringContaining('give it "channel"') as string,
      });
      const runner = source.createQueryRunner();
      await expect(createNotifyTrigger(runner, { schema: 's1', table })).rejects.toMatchObject({
        code: 'INVALID_TRIGGER',
        message: expect.stringMatching(/^createNotifyTrigger\(\): .*give it "channel"/) as string,
      });
      await runner.release();
    } finally {
      await source.destroy();
    }
  });
});
