import { Injectable } from '@nestjs/common';
import { Column, DeleteDateColumn, Entity, PrimaryGeneratedColumn, type DataSource } from 'typeorm';
import {
  Listener,
  NotifyChanges,
  OnChange,
  OnDelete,
  OnInsert,
  OnTruncate,
  OnUpdate,
  PgPubSubModule,
  withPgPubSub,
  type EntityChange,
  type Notification,
  type PgPubSubOptions,
} from 'nestjs-pgpubsub';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { TestApp, type TestAppOptions } from '../support/app.js';
import { TestDatabase } from '../support/database.js';
import { Mailbox } from '../support/mailbox.js';

@Entity()
@NotifyChanges({ on: ['insert', 'update', 'delete', 'truncate'] })
class Author {
  @PrimaryGeneratedColumn('identity', { type: 'bigint' }) id!: string;
  @Column('text', { name: 'full_name' }) name!: string;
  @Column('numeric', { default: '1.10' }) balance!: string;
  @Column('timestamptz', { default: '2024-01-01T00:00:00Z' }) since!: Date;
  @Column('text', { select: false, default: 'secret' }) password!: string;
}

@Entity()
class Plain {
  @PrimaryGeneratedColumn() id!: number;
}

let database: TestDatabase;
beforeEach(async () => {
  database = await TestDatabase.create();
});
afterEach(() => database[Symbol.asyncDispose]());

function start(options: Partial<TestAppOptions> = {}): Promise<TestApp> {
  return TestApp.start({
    url: database.url,
    dataSource: { entities: [Author, Plain], synchronize: true },
    patch: withPgPubSub,
    ...options,
  });
}

type Seen = [string, EntityChange<Author>, Notification<EntityChange<Author>>];

function authorListeners() {
  const seen = new Mailbox<Seen>();
  @Injectable()
  class Authors {
    @OnInsert(Author)
    inserted(change: EntityChange<Author>, notification: Notification<EntityChange<Author>>) {
      seen.push(['inserted', change, notification]);
    }
    @OnUpdate(Author)
    updated(change: EntityChange<Author>, notification: Notification<EntityChange<Author>>) {
      seen.push(['updated', change, notification]);
    }
    @OnDelete(Author)
    deleted(change: EntityChange<Author>, notification: Notification<EntityChange<Author>>) {
      seen.push(['deleted', change, notification]);
    }
    @OnTruncate(Author)
    truncated(change: EntityChange<Author>, notification: Notification<EntityChange<Author>>) {
      seen.push(['truncated', change, notification]);
    }
  }
  return { provider: Authors, seen };
}

describe('listeners of an entity', () => {
  it('get instances equal to what the repository loads', async () => {
    const { provider, seen } = authorListeners();
    await using app = await start({ providers: [provider] });
    const authors = app.dataSource.getRepository(Author);
    await authors.insert({ name: 'a' });
    await app.dataSource.query(
      `update author set id = overriding.id from (select 1 as id) as overriding where false`,
    );
    const inserted = await authors.findOneByOrFail({ id: '1' });
    await authors.update({ id: '1' }, { name: 'b', balance: '9007199254740993.100' });
    const updated = await authors.findOneByOrFail({ id: '1' });
    await authors.delete({ id: '1' });
    await authors.clear();

    const [insert, update, remove, truncate] = await seen.take(4);
    expect(insert?.[0]).toBe('inserted');
    expect(insert?.[1].new).toBeInstanceOf(Author);
    expect(insert?.[1]).toStrictEqual({
      operation: 'insert', old: null, new: inserted, entity: inserted, changed: [], table: 'author', schema: 'public', truncated: false,
    }); // prettier-ignore
    expect(update?.[1]).toStrictEqual({
      operation: 'update', old: inserted, new: updated, entity: updated, changed: ['name', 'balance'], table: 'author', schema: 'public', truncated: false,
    }); // prettier-ignore
    expect([remove?.[0], remove?.[1].old, remove?.[1].new, remove?.[1].entity]).toEqual([
      'deleted',
      updated,
      null,
      updated,
    ]);
    expect([truncate?.[0], truncate?.[1].entity]).toEqual(['truncated', null]);
  });

  it('get a row that was too large by its key, loaded; or null when it is gone', async () => {
    const { provider, seen } = authorListeners();
    await using app = await start({ providers: [provider] });
    const authors = app.dataSource.getRepository(Author);
    const name = 'x'.repeat(20_000);
    await authors.insert({ name });
    const [, change] = await seen.next();
    expect(change.truncated).toBe(true);
    expect(change.new).toStrictEqual(await authors.findOneBy({ id: '1' }));
    expect(change.new?.name).toBe(name);

    await app.dataSource.transaction(async (manager) => {
      await manager.insert(Author, { name });
      await manager.delete(Author, { id: '2' });
    });
    const [, gone] = await seen.next();
    expect([gone.truncated, gone.new, gone.entity]).toEqual([true, null, null]);
    const [what, deleted] = await seen.next();
    expect([what, deleted.truncated, deleted.old?.id, deleted.old?.name]).toEqual([
      'deleted',
      true,
      '2',
      undefined,
    ]);
  });

  it('get the entity that was decorated, and soft-deleted rows, too', async () => {
    @Entity({ name: 'person' })
    class Person {
      @PrimaryGeneratedColumn() id!: number;
    }
    @Entity({ name: 'person' })
    @NotifyChanges()
    class PersonRow {
      @PrimaryGeneratedColumn() id!: number;
      @Column('text') name!: string;
      @DeleteDateColumn() deletedAt!: Date | null;
    }
    const seen = new Mailbox<EntityChange<PersonRow>>();
    @Injectable()
    class People {
      @OnChange(PersonRow)
      changed(change: EntityChange<PersonRow>) {
        seen.push(change);
      }
    }
    await database.query(
      'create table person (id int generated by default as identity primary key, name text, "deletedAt" timestamp)',
    );
    const dataSource = { entities: [Person, PersonRow] };
    await using app = await start({ providers: [People], dataSource, options: { synchronize: true } });
    const people = app.dataSource.getRepository(PersonRow);
    await people.insert({ name: 'a' });
    expect((await seen.next()).new).toBeInstanceOf(PersonRow);
    await people.update({ id: 1 }, { name: 'x'.repeat(9_000) });
    await people.softDelete({ id: 1 });
    const [, deleted] = await seen.take(2);
    expect([deleted?.truncated, deleted?.new?.name.length]).toEqual([true, 9_000]);
  });

  it('can be reached by name, observed, and told apart by operation', async () => {
    const seen = new Mailbox<string>();
    @Injectable()
    class Authors {
      @Listener('author', { on: ['delete', 'update'] })
      some({ operation }: EntityChange<Author>) {
        seen.push(operation);
      }
      @OnChange(Author, { name: 'all' })
      all({ operation }: EntityChange<Author>) {
        seen.push(`all ${operation}`);
      }
    }
    await using app = await start({ providers: [Authors] });
    const observed = app.pubsub.listen(Author);
    await app.dataSource.query(`insert into author (full_name) values ('a')`);
    await app.dataSource.query(`delete from author`);
    expect((await seen.take(3)).toSorted()).toEqual(['all delete', 'all insert', 'delete']);
    expect((await observed.next()).value?.payload.new?.name).toBe('a');
    await observed.return?.();
  });

  it('are refused for entities without @NotifyChanges, and for operations that are not sent', async () => {
    @Injectable()
    class OfPlain {
      @OnInsert(Plain)
      inserted() {}
    }
    await expect(start({ providers: [OfPlain] })).rejects.toThrow(
      /@Listener\(\) on OfPlain.inserted\(\): expected an entity that is decorated with @NotifyChanges.*the class Plain/,
    );
    @Entity()
    @NotifyChanges({ on: 'insert' })
    class Insertable {
      @PrimaryGeneratedColumn() id!: number;
    }
    @Injectable()
    class OfDeletes {
      @OnDelete(Insertable)
      deleted() {}
    }
    const started = start({
      providers: [OfDeletes],
      dataSource: { entities: [Insertable], synchronize: true },
    });
    await expect(started).rejects.toThrow(
      /expected operations that the trigger of "insertable" sends \(insert\), got "delete"/,
    );
  });
});

describe('an entity', () => {
  it('can be given to forFeature(), and to a named instance', async () => {
    const { provider, seen } = authorListeners();
    await using app = await start({ providers: [provider], imports: [PgPubSubModule.forFeature([Author])] });
    await app.dataSource.getRepository(Author).insert({ name: 'a' });
    expect((await seen.next())[0]).toBe('inserted');
  });

  it('cannot be exactly-once yet, and says so', async () => {
    @Entity()
    @NotifyChanges({ delivery: 'exactly-once' })
    class Stored {
      @PrimaryGeneratedColumn() id!: number;
    }
    const started = start({ dataSource: { entities: [Stored], synchronize: true } });
    await expect(started).rejects.toMatchObject({ code: 'DELIVERY_UNSUPPORTED' });
  });
});

describe('context', () => {
  it('of a transaction reaches triggers and notify() alike, and ends with it', async () => {
    const { provider, seen } = authorListeners();
    const others = new Mailbox<Notification>();
    await using app = await start({
      providers: [provider],
      dataSource: { entities: [Author], synchronize: true, poolSize: 1 },
    });
    app.pubsub.observe('others').subscribe(others.push);
    await app.pubsub.withContext({ tenant: 'a' }, async (manager) => {
      await manager.insert(Author, { name: '1' });
      await app.pubsub.withContext({ user: 7 }, () => manager.insert(Author, { name: '2' }), { manager });
      await app.pubsub.notify('others', 1, { manager });
      await app.pubsub.notify('others', 2, { manager, context: { tenant: 'b' } });
    });
    await app.dataSource.getRepository(Author).insert({ name: '3' });
    await app.pubsub.notify('others', 3);

    expect((await seen.take(3)).map(([, { new: author }, { context }]) => [author?.name, context])).toEqual([
      ['1', { tenant: 'a' }],
      ['2', { tenant: 'a', user: 7 }],
      ['3', {}],
    ]);
    expect((await others.take(3)).map(({ context }) => context)).toEqual([
      { tenant: 'a' },
      { tenant: 'b' },
      {},
    ]);
  });

  it('of the module is carried by every transaction', async () => {
    const { provider, seen } = authorListeners();
    const options: PgPubSubOptions = { context: () => ({ tenant: 'module' }) };
    await using app = await start({ providers: [provider], options });
    await app.dataSource.getRepository(Author).save({ name: '1' });
    await app.pubsub.withContext({ user: 1 }, (manager) => manager.insert(Author, { name: '2' }));
    expect((await seen.take(2)).map(([, , { context }]) => context)).toEqual([
      { tenant: 'module' },
      { tenant: 'module', user: 1 },
    ]);
  });

  it('is undone when the work fails in a transaction that goes on', async () => {
    const { provider, seen } = authorListeners();
    await using app = await start({ providers: [provider] });
    await app.dataSource.transaction(async (manager) => {
      const failing = app.pubsub.withContext({ tenant: 'a' }, () => Promise.reject(new Error('no')), {
        manager,
      });
      await expect(failing).rejects.toThrow('no');
      await manager.insert(Author, { name: 'after' });
    });
    expect((await seen.next())[2].context).toEqual({});
    await expect(app.pubsub.withContext([] as never, () => Promise.resolve())).rejects.toMatchObject({
      code: 'INVALID_ARGUMENT',
    });
    const large = app.pubsub.withContext({ text: 'x'.repeat(5_000) }, () => Promise.resolve());
    await expect(large).rejects.toThrow(/in 4000 bytes, got one of 5011 bytes/);
    const outside = app.pubsub.withContext({}, () => Promise.resolve(), { manager: app.dataSource.manager });
    await expect(outside).rejects.toThrow(/with an open transaction, got one outside/);
  });

  it('takes no snapshot, and comes before the begin when it fails', async () => {
    let context: () => object = () => ({ tenant: 'a' });
    await using app = await start({
      options: { context: () => context() },
      dataSource: { entities: [Author], synchronize: true, poolSize: 1 },
    });
    await app.dataSource.transaction((manager) =>
      manager.query('set transaction isolation level serializable'),
    );
    await app.pubsub.withContext({ user: 1 }, (manager) =>
      manager.query('set transaction isolation level serializable'),
    );
    context = () => undefined as never;
    await app.dataSource.transaction((manager) => manager.insert(Author, { name: 'without' }));
    context = () => {
      throw new Error('no request');
    };
    await expect(app.dataSource.transaction((manager) => manager.query('select 1'))).rejects.toThrow(
      'no request',
    );
    context = () => ({});
    const [row] = await app.dataSource.query<[{ idle: boolean }]>(
      'select now() = statement_timestamp() as idle',
    );
    expect(row.idle).toBe(true); // the connection of the pool is in no transaction
  });

  it('of silence ends where it began, also when nested', async () => {
    const { provider, seen } = authorListeners();
    await using app = await start({ providers: [provider] });
    await app.pubsub.withoutTriggers(async (manager) => {
      await app.pubsub.withoutTriggers(() => manager.insert(Author, { name: 'inner' }), { manager });
      await manager.insert(Author, { name: 'outer' });
    });
    await app.dataSource.getRepository(Author).insert({ name: 'loud' });
    expect((await seen.next())[1].new?.name).toBe('loud');
  });

  it('withoutTriggers silences one transaction', async () => {
    const { provider, seen } = authorListeners();
    await using app = await start({
      providers: [provider],
      dataSource: { entities: [Author], synchronize: true, poolSize: 1 },
    });
    await app.pubsub.withoutTriggers((manager) => manager.insert(Author, { name: 'silent' }));
    await app.dataSource.transaction(async (manager) => {
      await app.pubsub.withoutTriggers(() => manager.insert(Author, { name: 'silent, too' }), { manager });
      await manager.insert(Author, { name: 'loud' });
    });
    expect((await seen.next())[1].new?.name).toBe('loud');
    expect(seen.untaken).toEqual([]);
  });
});

describe('at start-up', () => {
  const unwrapped = (dataSource: DataSource) => dataSource;

  it('missing, drifted and disabled triggers are named, with the way out', async () => {
    const missing = start({ patch: unwrapped });
    await expect(missing).rejects.toMatchObject({ code: 'SCHEMA_DRIFTED' });
    await expect(missing).rejects.toThrow(
      /missing: trigger pgpubsub_author_author_\w+ on public.author.*Wrap the DataSource in withPgPubSub\(\), then run "typeorm migration:generate"/,
    );
    await (await start()).close();
    const dataSource = { entities: [Author], synchronize: false };
    await (await start({ dataSource })).close();
    await database.query('alter table author disable trigger user');
    await expect(start({ dataSource })).rejects.toThrow(
      /disabled: trigger pgpubsub_author[^;]*\. Run "typeorm migration:run", after "typeorm migration:generate" where/,
    );
    await database.query('alter table author enable trigger user');
    const [row] = await database.query<{ name: string }>(
      `select proname as name from pg_proc where proname like 'pgpubsub%'`,
    );
    await database.query(
      `create or replace function ${row?.name}() returns trigger language plpgsql as $$ begin return null; end $$`,
    );
    await expect(start({ dataSource })).rejects.toThrow(/drifted: function public.pgpubsub_author/);

    await using warned = await start({ dataSource, options: { verifySchema: 'warn' } });
    await warned.log.find(({ level, text }) => level === 'warn' && text.includes('drifted: function'));
    await using silent = await start({ dataSource, options: { verifySchema: false, listen: false } });
    expect(silent.log.all.filter(({ level }) => level === 'warn')).toEqual([]);
  });

  it('`synchronize` creates what is missing', async () => {
    const { provider, seen } = authorListeners();
    await using app = await start({
      providers: [provider],
      patch: unwrapped,
      options: { synchronize: true },
    });
    await app.dataSource.getRepository(Author).insert({ name: 'a' });
    expect((await seen.next())[1].new?.name).toBe('a');
  });
});
