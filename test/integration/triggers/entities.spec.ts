import { Injectable } from '@nestjs/common';
import {
  Column,
  DeleteDateColumn,
  Entity,
  JoinColumn,
  ManyToOne,
  PrimaryColumn,
  PrimaryGeneratedColumn,
  type DataSource,
} from 'typeorm';
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
import { describe, expect, it } from 'vitest';
import type { TestApp, TestAppOptions } from '../../support/app.js';
import { Mailbox } from '../../support/mailbox.js';
import { useDatabase } from '../../support/use-database.js';

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

const database = useDatabase({ per: 'test' });

function start(options: Partial<TestAppOptions> = {}): Promise<TestApp> {
  return database.start({
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
    expect([gone.truncated, gone.old, gone.new]).toEqual([true, null, null]);
    expect([gone.entity?.id, gone.entity?.name]).toEqual(['2', undefined]);
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

  it('get a row that was too large although values of JavaScript cannot say its key', async () => {
    @Entity()
    class Station {
      @PrimaryColumn('int') id!: number;
    }
    const inMinutes = { to: (minutes: number) => minutes * 60, from: (seconds: number) => seconds / 60 };
    @Entity()
    @NotifyChanges({ channel: 'readings' })
    class Reading {
      @PrimaryColumn('timestamptz') at!: Date;
      @PrimaryColumn('timestamp') local!: Date;
      @PrimaryColumn('int', { transformer: inMinutes }) length!: number;
      @PrimaryColumn('text', { name: "Kind's name" }) kind!: string;
      @PrimaryColumn('int', { array: true }) path!: number[];
      @ManyToOne(() => Station, { nullable: false })
      @JoinColumn({ name: 'station_id' })
      station!: Station;
      @PrimaryColumn('int', { name: 'station_id' }) stationId!: number;
      @Column('text') text!: string;
    }
    const seen = new Mailbox<EntityChange<Reading>>();
    @Injectable()
    class Readings {
      @OnChange(Reading)
      changed(change: EntityChange<Reading>) {
        seen.push(change);
      }
    }
    const dataSource = { entities: [Reading, Station], synchronize: true };
    await using app = await start({ providers: [Readings], dataSource });
    await app.dataSource.query('insert into station values (1)');
    const writer = await database.client();
    await writer.query("set timezone = 'Asia/Kolkata'");
    await writer.query(String.raw`insert into reading (at, local, length, "Kind's name", path, station_id, text)
      select '2024-01-02 03:04:05.123456Z', '2024-01-02 03:04:05.654321', 60, e'it''s \\ "a"', '{1,2}', 1, repeat('x', 9000)`);
    const { new: loaded, truncated } = await seen.next();
    expect(truncated).toBe(true);
    expect(loaded).toStrictEqual((await app.dataSource.getRepository(Reading).find())[0]);
    expect(loaded?.text).toHaveLength(9_000);
  });

  it('get changes only: notify() refuses the rest, before any SQL', async () => {
    const { provider, seen } = authorListeners();
    await using app = await start({ providers: [provider] });
    const place = { schema: 'public', table: 'author' };
    for (const channel of [Author as never, 'author'])
      for (const payload of [{ id: 1 }, 'insert', undefined, { operation: 'insert', ...place, new: 1 }]) {
        const sending = app.dataSource.transaction(async (manager) => {
          await expect(app.pubsub.notify(channel, payload, { manager })).rejects.toMatchObject({
            code: 'INVALID_PAYLOAD',
            message: expect.stringMatching(
              /expected a change of a table on channel "author".* a channel of their own/,
            ) as string,
          });
          await manager.query('select 1');
        });
        await sending;
      }
    const change = { operation: 'insert', ...place, old: null, new: { id: '7', full_name: 'by hand' } };
    await app.pubsub.notify('author', change, { context: { tenant: 'a' } });
    await app.pubsub.notify('author', change);
    const [first, second] = await seen.take(2);
    expect([first?.[1].new?.name, first?.[2].context]).toEqual(['by hand', { tenant: 'a' }]);
    expect([second?.[1].new?.id, second?.[2].context]).toEqual(['7', {}]);
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

  describe('of the module, in statements outside of transactions', () => {
    const options: PgPubSubOptions = { context: () => ({ tenant: "it's \\ $1 \0 ü 😀" }) };
    const carried = options.context?.();
    const pooled = { entities: [Author], synchronize: true, poolSize: 1 };

    it('reaches triggers, and leaves results as they are', async () => {
      const { provider, seen } = authorListeners();
      await using app = await start({ providers: [provider], options, dataSource: pooled });
      const { dataSource } = app;
      const authors = dataSource.getRepository(Author);
      const inserted = await authors.insert({ name: '1' });
      expect(inserted.identifiers).toEqual([{ id: '1' }]);
      expect(await authors.update({ id: '1' }, { name: '2' })).toMatchObject({ affected: 1, raw: [] });
      expect(await dataSource.query(`update author set full_name = '3' where id = 1 returning id`)).toEqual([
        [{ id: '1' }],
        1,
      ]);
      expect(await dataSource.query(`insert into author (full_name) values ('4') returning id`)).toEqual([
        { id: '2' },
      ]);
      expect(await authors.createQueryBuilder().delete().where({ id: '1' }).execute()).toMatchObject({
        affected: 1,
      });
      expect(await dataSource.query('with gone as (delete from author returning id) table gone')).toEqual([
        { id: '2' },
      ]);
      await dataSource.query('-- all of them\ntruncate author');
      const all = await seen.take(7);
      expect(all.map(([, { operation }]) => operation).toSorted()).toEqual(
        'delete delete insert insert truncate update update'.split(' '), // listeners do not wait for each other
      );
      expect(all.map(([, , { context }]) => context)).toEqual(all.map(() => carried));
    });

    it('never stays on the connection for whoever uses it next', async () => {
      const { provider, seen } = authorListeners();
      let context: object = { tenant: 'a' };
      await using app = await start({
        providers: [provider],
        options: { context: () => context },
        dataSource: pooled,
      });
      const { dataSource } = app;
      const authors = dataSource.getRepository(Author);
      const left = async () => {
        const sql = `select current_setting('pgpubsub.context', true) as left, pg_backend_pid() as pid`;
        return (await dataSource.query<[{ left: string | null; pid: number }]>(sql))[0];
      };
      const { pid } = await left();
      await authors.insert({ name: 'parameters' });
      expect(await left()).toEqual({ left: '', pid });
      await dataSource.query(`insert into author (full_name) values ('none')`);
      expect(await left()).toEqual({ left: '', pid });
      await expect(authors.insert({ id: 'no number', name: 'failing' })).rejects.toThrow(/no number/);
      await expect(dataSource.query('insert into author default values')).rejects.toThrow(/null value/);
      expect(await left()).toEqual({ left: '', pid });
      await dataSource.transaction((manager) => manager.insert(Author, { name: 'transaction' }));
      await app.pubsub.withContext({ user: 1 }, (manager) => manager.insert(Author, { name: 'with' }));
      expect(await left()).toEqual({ left: '', pid });
      context = {};
      await authors.insert({ name: 'the next' });
      expect((await seen.take(5)).map(([, , notification]) => notification.context)).toEqual([
        { tenant: 'a' },
        { tenant: 'a' },
        { tenant: 'a' },
        { tenant: 'a', user: 1 },
        {},
      ]);
    });

    it('fails as the statement does, with its position', async () => {
      await using app = await start({ options, dataSource: pooled });
      const errorOf = async (sql: string, parameters?: unknown[]) => {
        const { driverError } = (await app.dataSource
          .query(sql, parameters)
          .catch((error: unknown) => error)) as { driverError: { code: string; position: string } };
        return [driverError.code, driverError.position];
      };
      expect(await errorOf('insert into nowhere values (1)')).toEqual(['42P01', '13']);
      expect(await errorOf('insert into nowhere values ($1)', [1])).toEqual(['42P01', '13']);
      const [row] = await app.dataSource.query<[{ idle: boolean }]>(
        'select now() = statement_timestamp() as idle',
      );
      expect(row.idle).toBe(true);
    });

    it('neither ends a transaction begun in SQL nor overrides what was set there', async () => {
      const { provider, seen } = authorListeners();
      await using app = await start({ providers: [provider], options, dataSource: pooled });
      const runner = app.dataSource.createQueryRunner();
      await runner.query('begin');
      await runner.query(`insert into author (full_name) values ('rolled back')`);
      await runner.query('rollback');
      await runner.query('begin');
      await runner.query(`set local pgpubsub.context = '{"tenant":"own"}'`);
      await runner.manager.insert(Author, { name: 'kept' });
      await runner.query('commit');
      await runner.release();
      const [, change, { context }] = await seen.next();
      expect([change.new?.name, context]).toEqual(['kept', { tenant: 'own' }]);
    });
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
    const misspelt = app.pubsub.withContext({}, () => Promise.resolve(), { manger: 1 } as never);
    await expect(misspelt).rejects.toThrow('expected no option but "manager"');
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
      /missing: table public.pgpubsub_notification; .*missing: trigger _pgpubsub_author_insert on public.author.*Wrap the DataSource in withPgPubSub\(\), then run "typeorm migration:generate"/,
    );
    await (await start()).close();
    const dataSource = { entities: [Author], synchronize: false };
    await (await start({ dataSource })).close();
    await database.query('alter table author disable trigger user');
    await expect(start({ dataSource })).rejects.toThrow(
      /disabled: trigger _pgpubsub_author_insert on public.author; .*\. Run "typeorm migration:run", after "typeorm migration:generate" where/,
    );
    await database.query('alter table author enable trigger user');
    await database.query(
      'create or replace function pgpubsub_broadcast() returns trigger language plpgsql as $$ begin return null; end $$',
    );
    await expect(start({ dataSource })).rejects.toThrow(
      /got drifted: function public.pgpubsub_broadcast\. Undo what was changed by hand/,
    );

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
