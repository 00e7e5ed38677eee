import { Column, Entity, PrimaryColumn, PrimaryGeneratedColumn } from 'typeorm';
import { describe, expect, it } from 'vitest';
import {
  NotifyChanges,
  createNotificationStorage,
  createNotifyTrigger,
  withPgPubSub,
  type NotifyChangesOptions,
} from 'nestjs-pgpubsub';
import { NOTHING, generate, inTransaction } from '../../support/storage.js';
import { useStoredRows } from '../../support/stored-rows.js';

const { database, start, stored } = useStoredRows();

function author(options: NotifyChangesOptions = {}) {
  @Entity('author')
  @NotifyChanges({ delivery: 'exactly-once', on: ['insert', 'update', 'delete', 'truncate'], ...options })
  class Author {
    @PrimaryGeneratedColumn() id!: number;
    @Column('text', { nullable: true }) name!: string | null;
    @Column('text', { nullable: true }) bio!: string | null;
    @Column('text', { nullable: true, select: false }) password!: string | null;
  }
  return Author;
}

/**
 * An entity without excluded columns, which would make the function of its trigger name all
 * columns.
 */
function plain(options: NotifyChangesOptions = {}) {
  @Entity('author')
  @NotifyChanges({ delivery: 'exactly-once', ...options })
  class Author {
    @PrimaryGeneratedColumn() id!: number;
    @Column('text', { nullable: true }) name!: string | null;
    @Column('text', { nullable: true }) bio!: string | null;
  }
  return Author;
}

describe.each(['row', 'statement'] as const)('exactly-once triggers at level "%s"', (level) => {
  it('store keys of any text unchanged', async () => {
    @Entity('word')
    @NotifyChanges({ delivery: 'exactly-once', ordered: true, columns: ['data'], level })
    class Word {
      @PrimaryColumn('text') id!: string;
      @Column('json', { nullable: true }) data!: unknown;
    }
    const source = await start([Word]);
    const words = ['a', '', '"', '\\', '\\u0001', '\u0001', 'ü€😀', 'null', "it's", '\n'];
    for (const word of words)
      await source.query(`insert into word values ($1, $2), ($3, null)`, [word, '"\\u0000"', `${word}.`]);
    expect((await stored()).map(({ key }) => key)).toEqual(words.flatMap((word) => [word, `${word}.`]));
  });

  it('store a composite primary key as a JSON array', async () => {
    @Entity('reading')
    @NotifyChanges({ delivery: 'exactly-once', ordered: true, level })
    class Reading {
      @PrimaryColumn('text') device!: string;
      @PrimaryColumn('bigint') at!: string;
      @Column('text', { nullable: true }) value!: string | null;
    }
    await start([Reading]);
    await database.query(`insert into reading values ('a "b", c', 9007199254740993, 'x')`);
    await database.query(`update reading set value = 'y', device = 'd'`);
    await database.query(`delete from reading`);
    expect((await stored()).map(({ key }) => key)).toEqual([
      '["a \\"b\\", c",9007199254740993]',
      '["a \\"b\\", c",9007199254740993]',
      '["d",9007199254740993]',
    ]);
  });

  it('store rows of any size completely', async () => {
    await start([author({ level })]);
    await database.query(`insert into author (name) values (repeat('x', 20000000))`);
    const [row] = await database.query<{ length: number; truncated: boolean }>(
      `select length(payload -> 'new' ->> 'name') as length, payload::text like '%truncated%' as truncated from pgpubsub_notification`,
    );
    expect(row).toEqual({ length: 20_000_000, truncated: false });
  });

  it('store every row of a large statement in order', async () => {
    await start([author({ level })]);
    await database.query(`insert into author (name) select i::text from generate_series(1, 5000) as i`);
    await database.query(`update author set bio = 'x' where id <= 10`);
    const rows = await stored();
    const ids = rows.slice(0, 5000).map(({ payload }) => payload.new?.['id']);
    expect(ids).toEqual(Array.from({ length: 5000 }, (_, index) => index + 1));
    expect(rows).toHaveLength(5010);
    expect(rows.slice(5000).every(({ payload }) => payload.old?.['id'] === payload.new?.['id'])).toBe(true);
  });

  it('store the version of the schema at each statement', async () => {
    await start([author({ level })]);
    await database.query('create table migrations (id serial primary key, timestamp bigint, name text)');
    const client = await database.client();
    await client.query('begin');
    await client.query(`insert into author (name) values ('a'), ('b')`);
    await client.query(`insert into migrations (timestamp, name) values (1, 'First1')`);
    await client.query(`insert into author (name) values ('c'), ('d')`);
    await client.query(`savepoint s`);
    await client.query(`insert into migrations (timestamp, name) values (2, 'Second2')`);
    await client.query(`update author set name = 'e'`);
    await client.query(`rollback to s`);
    await client.query(`delete from author where name = 'd'`);
    await client.query('commit');
    await client.query(`insert into migrations (timestamp, name) values (2, 'Second2')`);
    await client.query('truncate author');
    const versions = (await stored()).map(({ schema_version: version }) => version);
    expect(versions).toEqual([null, null, 'First1', 'First1', 'First1', 'Second2']);
  });

  it('work for a role that may only insert', async () => {
    await start([author({ level, ordered: true })]);
    const role = `writer_${Math.random().toString(36).slice(2)}`;
    await database.query(`create role ${role}`);
    try {
      await database.query(`grant insert on author, pgpubsub_notification to ${role}`);
      await database.query(`grant usage on sequence author_id_seq to ${role}`);
      await database.query(`set role ${role}; insert into author (name) values ('a')`);
      expect(await stored()).toMatchObject([{ key: '1', schema_version: null }]);
    } finally {
      await database.query(`drop owned by ${role}; drop role ${role}`);
    }
  });

  it('store in the configured schema', async () => {
    await start([author({ level })], { schema: 'my store' });
    await database.query(`insert into author (name) values ('a')`);
    expect(await database.query('select channel from "my store".pgpubsub_notification')).toEqual([
      { channel: 'author' },
    ]);
  });

  it('continue when columns are added, dropped or renamed', async () => {
    await start([plain({ level, ordered: true })]);
    await database.query('alter table author drop column bio, add column age int');
    await database.query(`insert into author (name, age) values ('a', 1)`);
    await database.query('alter table author rename id to number');
    await database.query(`update author set age = 2`);
    expect((await stored()).map(({ key }) => key)).toEqual(['1', null]);
  });

  it('are the same in handwritten and generated migrations', async () => {
    const source = await database.connectPlain({
      entities: [author({ level, ordered: true, wake: 'poll' })],
    });
    await source.synchronize();
    const literals = {
      table: 'author',
      on: ['insert', 'update', 'delete', 'truncate'],
      exclude: ['password'],
      delivery: 'exactly-once',
      ordered: true,
      wake: 'poll',
      level,
    } as const;
    await inTransaction(source, async (runner) => {
      await expect(createNotifyTrigger(runner, literals)).rejects.toThrow(/createNotificationStorage/);
      await createNotificationStorage(runner);
      await createNotifyTrigger(runner, literals);
    });
    expect(await generate(withPgPubSub(source))).toEqual(NOTHING);
  });
});
