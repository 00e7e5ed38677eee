import { Injectable } from '@nestjs/common';
import {
  Column,
  DeleteDateColumn,
  Entity,
  JoinColumn,
  ManyToOne,
  PrimaryColumn,
  PrimaryGeneratedColumn,
} from 'typeorm';
import {
  Listener,
  NotifyChanges,
  OnChange,
  OnDelete,
  OnInsert,
  OnTruncate,
  OnUpdate,
  withPgPubSub,
  type EntityChange,
  type Notification,
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
  it('receive instances equal to those of the repository', async () => {
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

  it('receive a row that was too large as loaded by its key, or null when it is gone', async () => {
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

  it('receive instances of the decorated entity, including soft-deleted rows', async () => {
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

  it('receive a row that was too large although JavaScript cannot represent its key exactly', async () => {
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

  it('receive only changes, because notify() rejects other payloads before any SQL', async () => {
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

  it('can name the channel and operations, and listen() accepts the entity', async () => {
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

  it('are rejected for entities without @NotifyChanges(), and for operations that are not sent', async () => {
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
