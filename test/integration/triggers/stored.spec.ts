import { Column, Entity, PrimaryColumn, PrimaryGeneratedColumn } from 'typeorm';
import { describe, expect, it } from 'vitest';
import { NotifyChanges, defineChannel, type NotifyChangesOptions } from 'nestjs-pgpubsub';
import { Mailbox } from '../../support/mailbox.js';
import { useStoredRows, type Change } from '../../support/stored-rows.js';

const { database, start, stored } = useStoredRows();

const changes = async (): Promise<Change[]> => (await stored()).map(({ payload }) => payload);

/** Writes `operation: old → new` for each change, with the values of one column. */
const summary = async (column: string): Promise<string[]> =>
  (await changes()).map(
    (change) => `${change.operation}: ${String(change.old?.[column])} → ${String(change.new?.[column])}`,
  );

/** The hints of `act`, as any client receives them. */
async function hintsOf(act: () => Promise<unknown>): Promise<string[]> {
  const client = await database.client();
  const hints = new Mailbox<string>();
  client.on('notification', ({ payload = '' }) => hints.push(payload));
  await client.query('listen pgpubsub');
  await act();
  await client.query(`notify pgpubsub, 'the end'`);
  await hints.find((hint) => hint === 'the end');
  return hints.all.filter((hint) => hint !== 'the end');
}

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

describe.each(['row', 'statement'] as const)('exactly-once triggers at level "%s"', (level) => {
  it('store a notification for each changed row, and send no broadcasts', async () => {
    await start([author({ level })]);
    const client = await database.client();
    const texts: unknown[] = [];
    client.on('notification', (notification) => texts.push(notification));
    await client.query('listen author');
    await client.query(`insert into author (name, password) values ('a', 'secret'), ('b', null)`);
    await client.query(`update author set name = 'A' where id = 1`);
    await client.query(`update author set name = name`);
    await client.query(`delete from author where id = 2`);
    await client.query('truncate author');
    await client.query('select 1');

    const first = { id: 1, name: 'a', bio: null };
    const second = { id: 2, name: 'b', bio: null };
    const place = { schema: 'public', table: 'author' };
    const rest = {
      id: expect.any(String),
      channel: 'author',
      context: null,
      key: null,
      schema_version: null,
    };
    const change = (operation: string, before: object | null, after: object | null) => ({
      ...rest,
      payload: { operation, ...place, old: before, new: after },
    });
    expect(await stored()).toEqual([
      change('insert', null, first),
      change('insert', null, second),
      change('update', first, { ...first, name: 'A' }),
      change('delete', second, null),
      change('truncate', null, null),
    ]);
    expect(texts).toEqual([]);
  });

  it('store the same text that broadcasts send', async () => {
    @Entity('thing')
    @NotifyChanges({ delivery: 'exactly-once', channel: 'stored', level })
    @NotifyChanges({ channel: 'sent', level })
    class Thing {
      @PrimaryColumn('text') id!: string;
      @Column('json') data!: unknown;
      @Column('interval') span!: unknown;
      @Column('bytea') bytes!: unknown;
      @Column('tstzrange') range!: unknown;
      @Column('numeric') digits!: string;
    }
    const source = await start([Thing]);
    const client = await database.client();
    const texts: string[] = [];
    client.on('notification', ({ payload = '' }) => texts.push(payload));
    await client.query('listen sent');
    const writer = source.createQueryRunner();
    await writer.query(
      `set datestyle = 'German'; set intervalstyle = 'iso_8601'; set bytea_output = 'escape'; set search_path = ''`,
    );
    await writer.query(`insert into public.thing values ('"a"', '{"e":"\\u0000", "n":1.10}', '1 day 2 hours', 'a', '[2026-01-01,2026-01-02)',
      '12345678901234567890.123')`);
    await writer.query(`update public.thing set bytes = 'b'`);
    await writer.query(`delete from public.thing`);
    await writer.release();
    await client.query('select 1');
    const rows = await database.query<{ text: string }>(
      'select payload::text as text from pgpubsub_notification order by id',
    );
    expect(rows.map(({ text }) => text)).toEqual(texts);
    expect(texts).toHaveLength(3);
  });

  it('respect `of`, `when`, `columns` and pgpubsub.disabled', async () => {
    await start([
      author({ level, of: ['name'], columns: ['name'], when: `coalesce(NEW.bio, OLD.bio) = 'on'` }),
    ]);
    await database.query(`insert into author (name, bio) values ('a', 'on'), ('b', 'off')`);
    await database.query(`update author set password = 'x'`);
    await database.query(`update author set name = upper(name)`);
    await database.query(
      `begin; set local pgpubsub.disabled = 'on'; delete from author; truncate author; commit`,
    );
    await database.query('truncate author');
    expect(await changes()).toMatchObject([
      { operation: 'insert', new: { name: 'a' } },
      { operation: 'update', old: { name: 'a' }, new: { name: 'A' } },
      { operation: 'truncate' },
    ]);
    expect(Object.keys((await changes())[0]?.new ?? {})).toEqual(['name']);
  });

  it('store the context in its own column, and ignore an invalid context', async () => {
    await start([author({ level })]);
    for (const context of ['{"tenant":"a"}', '[1]', '"text"', 'null', '{broken', '']) {
      const client = await database.client();
      await client.query('begin');
      await client.query(`select set_config('pgpubsub.context', $1, true)`, [context]);
      await client.query(`insert into author (name) values ('a')`);
      await client.query('commit');
    }
    await database.query('truncate author');
    const rows = await stored();
    expect(rows.map(({ context }) => context)).toEqual([{ tenant: 'a' }, null, null, null, null, null, null]);
    expect(JSON.stringify(rows)).not.toContain('"context":{}');
    expect(Object.keys(rows[0]?.payload ?? {})).toEqual(['operation', 'schema', 'table', 'old', 'new']);
  });

  it('send one hint per transaction and channel', async () => {
    await start([author({ level }), other(level)]);
    const hints = await hintsOf(() =>
      database.query(`begin; insert into author (name) select 'x' from generate_series(1, 20); update author set name = 'y';
        insert into other default values; delete from author; commit`),
    );
    expect(hints.toSorted()).toEqual(['author', 'other']);
  });

  it('send no hint when they stored nothing', async () => {
    await start([author({ level, when: 'NEW.id < 0' })]);
    const hints = await hintsOf(async () => {
      await database.query(`insert into author (name) values ('a')`);
      await database.query(`insert into author (name) select 'x' where false`);
      await database.query(`update author set name = 'a'`);
    });
    expect(hints).toEqual([]);
    expect(await stored()).toEqual([]);
  });

  it('send no hint with wake "poll"', async () => {
    await start([author({ level, wake: 'poll' })]);
    const hints = await hintsOf(async () => {
      await database.query(`insert into author (name) values ('a')`);
      await database.query(`truncate author`);
    });
    expect(hints).toEqual([]);
    expect(await stored()).toHaveLength(2);
  });

  it('store nothing when the transaction or its savepoint rolls back', async () => {
    await start([author({ level })]);
    const hints = await hintsOf(async () => {
      await database.query(`begin; insert into author (name) values ('a'); rollback`);
      await database.query(`begin; insert into author (name) values ('b'); savepoint s; insert into author (name) values ('c');
        rollback to s; commit`);
    });
    expect(await summary('name')).toEqual(['insert: undefined → b']);
    expect(hints).toEqual(['author']);
  });

  it('store the primary key as key when the channel is ordered, for updates that of the old row', async () => {
    await start([author({ level, ordered: true })]);
    await database.query(`insert into author (name) values ('a'), ('b')`);
    await database.query(`update author set id = id + 10`);
    await database.query(`delete from author where id = 11`);
    await database.query('truncate author');
    const keys = (await stored()).map(({ payload, key }) => `${payload.operation} ${key}`);
    expect(keys).toEqual(['insert 1', 'insert 2', 'update 1', 'update 2', 'delete 11', 'truncate null']);
  });
});

function other(level: 'row' | 'statement') {
  @Entity('other')
  @NotifyChanges({ delivery: 'exactly-once', level })
  class Other {
    @PrimaryGeneratedColumn() id!: number;
  }
  return Other;
}

describe('a declaration', () => {
  it('can change between broadcasting and storing, in both directions', async () => {
    const first = await start([author({ delivery: 'broadcast' })]);
    await first.destroy();
    const second = await start([author()]);
    await database.query(`insert into author (name) values ('a')`);
    expect(await stored()).toHaveLength(1);
    await database.query('delete from pgpubsub_notification');
    await second.destroy();
    await start([author({ delivery: 'broadcast' })]);
    await database.query(`insert into author (name) values ('b')`);
    expect(await stored()).toEqual([]);
  });

  it('takes delivery, order and wake from a channel definition', async () => {
    const feed = defineChannel<never>('feed', { delivery: 'exactly-once', ordered: true, wake: 'poll' });
    await start([author({ channel: feed, delivery: undefined as never })]);
    await database.query(`insert into author (name) values ('a')`);
    expect(await stored()).toMatchObject([{ channel: 'feed', key: '1' }]);
  });

  it('must not contradict its channel definition', async () => {
    const feed = defineChannel<never>('feed');
    await expect(start([author({ channel: feed })])).rejects.toThrow(
      '@NotifyChanges() on Author: expected "delivery" to be that of the channel "feed" ("broadcast"), got "exactly-once".',
    );
  });

  it('needs a primary key when the channel is ordered', async () => {
    const source = start([], { triggers: [{ table: 'bare', delivery: 'exactly-once', ordered: true }] });
    await expect(source).rejects.toThrow(
      'the table "bare": expected a primary key, because the channel is ordered, got none.',
    );
  });
});
