import {
  Column,
  DataSource,
  Entity,
  ManyToOne,
  PrimaryColumn,
  PrimaryGeneratedColumn,
  type EntitySchema,
  type MixedList,
} from 'typeorm';
import { describe, expect, it } from 'vitest';
import { createNotifyTrigger } from '../../../lib/triggers/migration-helpers.js';
import { NotifyChanges } from '../../../lib/triggers/notify-changes.decorator.js';
import { Database, type WithPgPubSubOptions } from '../../../lib/triggers/database.js';
import { withPgPubSub } from '../../../lib/triggers/with-pg-pubsub.js';
import { listen, type Sent } from '../../support/sent.js';
import { useDatabase } from '../../support/use-database.js';

const database = useDatabase({ per: 'test' });

type Entities = MixedList<(abstract new () => unknown) | EntitySchema>;

const start = (entities: Entities, options?: WithPgPubSubOptions, more: object = {}): Promise<DataSource> =>
  database.connect({ dataSource: { entities: entities as never, synchronize: true, ...more }, ...options });

describe.each(['row', 'statement'] as const)('triggers at level "%s"', (level) => {
  const levels = { level };

  it('notify inserts, updates that change something, deletes and truncates', async () => {
    @Entity()
    @NotifyChanges({ on: ['insert', 'update', 'delete', 'truncate'], ...levels })
    class Author {
      @PrimaryGeneratedColumn() id!: number;
      @Column('text') name!: string;
      @Column('json', { nullable: true }) data!: unknown;
      @Column('point', { nullable: true }) place!: unknown;
      @Column('xml', { nullable: true }) page!: unknown;
    }
    const source = await start([Author]);
    const sent = await listen(database, 'author');
    await source.query(`insert into author (name, data) values ('a', '{"n":1}'), ('b', null)`);
    await source.query(`update author set name = 'A' where id = 1`);
    await source.query(`update author set name = name`);
    await source.query(`delete from author where id = 2`);
    await source.query(`truncate author`);

    const rest = { data: null, place: null, page: null };
    const place = { schema: 'public', table: 'author' };
    const first = { ...rest, id: 1, name: 'a', data: { n: 1 } };
    expect(await sent.end()).toEqual([
      { operation: 'insert', ...place, old: null, new: first },
      { operation: 'insert', ...place, old: null, new: { ...rest, id: 2, name: 'b' } },
      { operation: 'update', ...place, old: first, new: { ...first, name: 'A' } },
      { operation: 'delete', ...place, old: { ...rest, id: 2, name: 'b' }, new: null },
      { operation: 'truncate', ...place, old: null, new: null },
    ]);
  });

  it('carry what `columns` says, hide what is not selected, and count changes of `of` by value', async () => {
    @Entity()
    @NotifyChanges({ ...levels })
    @NotifyChanges({ channel: 'names', columns: ['id', 'name'], of: ['name', 'tags'], ...levels })
    @NotifyChanges({ channel: 'secrets', columns: ['id', 'password'], ...levels })
    class User {
      @PrimaryGeneratedColumn() id!: number;
      @Column('text', { name: 'full_name' }) name!: string;
      @Column('json') tags!: string[];
      @Column('text', { select: false }) password!: string;
    }
    const source = await start([User]);
    const [all, names, secrets] = [
      await listen(database, 'user'),
      await listen(database, 'names'),
      await listen(database, 'secrets'),
    ];
    await source.query(`insert into "user" (full_name, tags, password) values ('a', '[1]', 'secret')`);
    await source.query(`update "user" set full_name = full_name, tags = '[1]', password = 'other'`);
    await source.query(`update "user" set tags = '[1,2]'`);

    expect((await all.end()).map(({ new: row }) => row)).toEqual([
      { id: 1, full_name: 'a', tags: [1] },
      { id: 1, full_name: 'a', tags: [1] },
      { id: 1, full_name: 'a', tags: [1, 2] },
    ]);
    expect((await names.end()).map(({ new: row }) => row)).toEqual([
      { id: 1, full_name: 'a' },
      { id: 1, full_name: 'a' },
    ]);
    expect((await secrets.end()).map(({ new: row }) => row?.['password'])).toEqual([
      'secret',
      'other',
      'other',
    ]);
  });

  it('ask the condition for inserts, updates and deletes', async () => {
    @Entity()
    @NotifyChanges({ when: 'coalesce(NEW.active, OLD.active)', ...levels })
    @NotifyChanges({
      channel: 'activated',
      when: 'NEW.active and OLD.active is distinct from NEW.active',
      ...levels,
    })
    class Author {
      @PrimaryGeneratedColumn() id!: number;
      @Column('boolean') active!: boolean;
    }
    const source = await start([Author]);
    const [sent, activated] = [await listen(database, 'author'), await listen(database, 'activated')];
    await source.query(`insert into author (active) values (true), (false)`);
    await source.query(`update author set active = true where id = 2`);
    await source.query(`update author set active = false where id = 1`);
    await source.query(`delete from author`);

    const ids = (all: Sent[]) => all.map(({ operation, old, new: row }) => [operation, (row ?? old)?.['id']]);
    expect(ids(await sent.end())).toEqual([
      ['insert', 1],
      ['update', 2],
      ['delete', 2],
    ]);
    expect(ids(await activated.end())).toEqual([
      ['insert', 1],
      ['update', 2],
    ]);
  });

  it('never break the write of a row that is too large: the key arrives, and `truncated`', async () => {
    @Entity()
    @NotifyChanges({ ...levels })
    class Author {
      @PrimaryGeneratedColumn() id!: number;
      @Column('text') name!: string;
    }
    const source = await start([Author]);
    const sent = await listen(database, 'author');
    await source.query(`insert into author (name) select repeat('x', n) from unnest(array[10, 20000]) as n`);
    await source.query(`update author set name = repeat('ä', 5000)`);
    await source.transaction(async (manager) => {
      await manager.query(`select set_config('pgpubsub.context', $1, true)`, [
        JSON.stringify({ big: 'x'.repeat(9_000) }),
      ]);
      await manager.query(`delete from author where id = 2`);
    });
    await source.transaction(async (manager) => {
      await manager.query(`select set_config('pgpubsub.context', 'not json', true)`);
      await manager.query(`delete from author where id = 1`);
    });

    const place = { schema: 'public', table: 'author' };
    expect(await sent.end()).toEqual([
      { operation: 'insert', ...place, old: null, new: { id: 1, name: 'x'.repeat(10) } },
      { operation: 'insert', ...place, old: null, new: { id: 2 }, truncated: true },
      { operation: 'update', ...place, old: { id: 1 }, new: { id: 1 }, truncated: true },
      { operation: 'update', ...place, old: { id: 2 }, new: { id: 2 }, truncated: true },
      { operation: 'delete', ...place, old: null, new: null, truncated: true },
      { operation: 'delete', ...place, old: { id: 1 }, new: null, truncated: true },
    ]);
  });

  it('never break the write of a row that is too large for JSON', async () => {
    @Entity()
    @NotifyChanges({ of: ['name'], ...levels })
    class Author {
      @PrimaryColumn({ name: `the 'Id` }) id!: number;
      @Column('text', { nullable: true }) name!: string;
      @Column('bytea', { nullable: true }) photo!: Buffer;
    }
    const source = await start([Author]);
    const sent = await listen(database, 'author');
    const huge = `convert_to(repeat('x', 540000000), 'UTF8')`; // 1.1 GB of JSON, and 6 MB as it is stored
    await source.query(`insert into author values (1, 'large', ${huge}), (2, 'small', null)`);
    if (level === 'row') await source.query(`update author set name = name || '!'`); // it takes seconds
    await source.query(`delete from author`);

    const one = { [`the 'Id`]: 1 };
    const two = { [`the 'Id`]: 2 };
    const rows = (await sent.end()).map(({ operation, old, new: row, truncated }) => [operation, old, row, truncated]);
    const each = [
      ['insert', null, one, true],
      ['insert', null, { ...two, name: 'small', photo: null }, undefined],
      ['update', one, one, true],
      ['update', { ...two, name: 'small', photo: null }, { ...two, name: 'small!', photo: null }, undefined],
      ['delete', one, null, true],
      ['delete', { ...two, name: 'small!', photo: null }, null, undefined],
    ];
    const perStatement = ['insert', 'delete'].map((operation) => [operation, null, null, true]);
    expect(rows).toEqual(level === 'row' ? each : perStatement);
  }, 120_000); // prettier-ignore

  it('take names that need quoting, other schemas, and columns named like the words of the function', async () => {
    @Entity({ name: `Weird täble`, schema: 'Other Schema' })
    @NotifyChanges({
      channel: `it's "odd"\\`.replaceAll('"', ''),
      on: ['insert', 'update', 'delete', 'truncate'],
      ...levels,
    })
    class Odd {
      @PrimaryGeneratedColumn() id!: number;
      @Column('text') context!: string;
      @Column('text') message!: string;
      @Column('text', { name: 'key' }) old_row!: string;
      @Column('text', { name: 'Va lue' }) value!: string;
      @Column('text', { name: 'changed', select: false, default: 'hidden' }) changed!: string;
      @Column('text', { name: 'new', default: 'new' }) new!: string;
    }
    await database.query('create schema "Other Schema"');
    const source = await start([Odd]);
    const sent = await listen(database, `it's odd\\`);
    await source.getRepository(Odd).save({ context: 'c', message: 'm', old_row: 'k', value: 'v' });
    await source.getRepository(Odd).update({ id: 1 }, { message: 'n' });
    await source.getRepository(Odd).delete({ id: 1 });
    const row = { id: 1, context: 'c', message: 'm', key: 'k', 'Va lue': 'v', new: 'new' };
    const all = await sent.end();
    expect(all.map(({ old, new: now }) => [old, now])).toEqual([
      [null, row],
      [row, { ...row, message: 'n' }],
      [{ ...row, message: 'n' }, null],
    ]);
    expect(all[0]).toMatchObject({ schema: 'Other Schema', table: `Weird täble` });
    expect((await Database.of(source).diff()).differences).toEqual([]);
  });

  it('take json with any escapes, whatever is left out of it', async () => {
    class Login {
      @Column('text') name!: string;
      @Column('text', { select: false, default: 'secret' }) password!: string;
    }
    @Entity()
    @NotifyChanges({ of: ['data'], ...levels })
    @NotifyChanges({ channel: 'logins', columns: ['id', 'login'], ...levels })
    class Author {
      @PrimaryGeneratedColumn() id!: number;
      @Column('json') data!: unknown;
      @Column(() => Login) login!: Login;
    }
    const source = await start([Author]);
    const [sent, logins] = [await listen(database, 'author'), await listen(database, 'logins')];
    const data = String.raw`{"nul":"\u0000","half":"\ud800","text":"\\u0000","n":1.10}`;
    await source.query(`insert into author (data, "loginName") values ($1, 'a')`, [data]);
    await source.query(`update author set data = $1, "loginName" = 'b'`, [data]);
    await source.query(`update author set data = '"other"'`);

    const all = await sent.end();
    expect(all.map(({ operation, new: row }) => [operation, row?.['data']])).toEqual([
      ['insert', JSON.parse(data)],
      ['update', 'other'],
    ]);
    expect(all[0]?.new).not.toHaveProperty('loginPassword');
    const [login] = await logins.end();
    expect(login?.new).toEqual({ id: 1, loginName: 'a' });
  });

  it('notify what COPY writes, and what a foreign key cascades to', async () => {
    @Entity()
    @NotifyChanges({ ...levels })
    class Author {
      @PrimaryColumn() id!: number;
    }
    @Entity()
    @NotifyChanges({ ...levels })
    class Book {
      @PrimaryColumn() id!: number;
      @ManyToOne(() => Author, { onDelete: 'CASCADE', onUpdate: 'CASCADE' }) author!: Author;
    }
    const source = await start([Author, Book]);
    const [authors, books] = [await listen(database, 'author'), await listen(database, 'book')];
    await database.query(`copy author from program 'printf "1\\n2\\n"'`);
    await source.query(`insert into book (id, "authorId") values (10, 1), (20, 2)`);
    await source.query(`update author set id = 3 where id = 2`);
    await source.query(`delete from author`);
    const operations = (all: Sent[]) =>
      all.map(({ operation, old, new: row }) => `${operation} ${String((row ?? old)?.['id'] as number)}`);
    expect(operations(await authors.end())).toEqual([
      'insert 1',
      'insert 2',
      'update 3',
      'delete 1',
      'delete 3',
    ]);
    expect(operations(await books.end())).toEqual([
      'insert 10',
      'insert 20',
      'update 20',
      'delete 10',
      'delete 20',
    ]);
  });

  it('notify the rows of bulk statements, each once and in order', async () => {
    @Entity()
    @NotifyChanges({ ...levels })
    class Author {
      @PrimaryGeneratedColumn() id!: number;
      @Column('text', { unique: true }) name!: string;
    }
    const source = await start([Author]);
    const sent = await listen(database, 'author');
    await source.query(`insert into author (name) select 'n' || i from generate_series(1, 10000) as i`);
    const inserted = await sent.end();
    expect(inserted.map(({ new: row }) => row?.['id'])).toEqual(Array.from({ length: 10_000 }, (_, index) => index + 1));

    await source.query(`insert into author (name) values ('n1'), ('new') on conflict (name) do update set name = excluded.name || '!'`);
    await source.query(`update author set name = name || '?', id = id + 20000 where id between 2 and 4`);
    if (await hasMerge()) {
      await source.query(`merge into author using (values ('n9'), ('merged')) as given (name) on author.name = given.name
        when matched then update set name = 'matched' when not matched then insert (name) values (given.name)`);
    } else {
      await source.query(`update author set name = 'matched' where name = 'n9'`);
      await source.query(`insert into author (name) values ('merged')`);
    }
    await source.query(`delete from author where id between 5 and 7`);
    const changes = (await sent.end()).map(({ operation, old, new: row }) => `${operation} ${JSON.stringify(old?.['name'] ?? null)} ${JSON.stringify(row?.['name'] ?? null)}`.replaceAll('"', ''));
    expect(changes.toSorted()).toEqual([
      'delete n5 null', 'delete n6 null', 'delete n7 null', 'insert null merged', 'insert null new',
      'update n1 n1!', 'update n2 n2?', 'update n3 n3?', 'update n4 n4?', 'update n9 matched',
    ]);
  }); // prettier-ignore

  it('read tables that have lost columns', async () => {
    @Entity()
    @NotifyChanges({ of: ['name'], when: `coalesce(NEW.name, OLD.name) <> 'z'`, ...levels })
    @NotifyChanges({ channel: 'all', ...levels })
    class Author {
      @PrimaryGeneratedColumn() id!: number;
      @Column('text') gone!: string;
      @Column('text') name!: string;
    }
    const source = await start([Author]);
    await source.query(`alter table author drop column gone`);
    const [named, all] = [await listen(database, 'author'), await listen(database, 'all')];
    await source.query(`insert into author (name) values ('a')`);
    await source.query(`update author set name = 'b'`);
    await source.query(`delete from author`);
    const [a, b] = [{ id: 1, name: 'a' }, { id: 1, name: 'b' }]; // prettier-ignore
    const expected = [[null, a], [a, b], [b, null]]; // prettier-ignore
    expect((await named.end()).map(({ old, new: row }) => [old, row])).toEqual(expected);
    expect((await all.end()).map(({ old, new: row }) => [old, row])).toEqual(expected);
  });

  it('stay silent where they are disabled for a transaction, and carry its context', async () => {
    @Entity()
    @NotifyChanges({ ...levels })
    class Author {
      @PrimaryGeneratedColumn() id!: number;
    }
    const source = await start([Author]);
    const sent = await listen(database, 'author');
    await source.transaction(async (manager) => {
      await manager.query(`set local pgpubsub.disabled = 'on'`);
      await manager.query(`insert into author default values`);
    });
    await source.transaction(async (manager) => {
      await manager.query(`select set_config('pgpubsub.context', '{"tenant":"a"}', true)`);
      await manager.query(`insert into author default values`);
    });
    await source.query(`insert into author default values`);
    expect((await sent.end()).map(({ new: row, context }) => [row?.['id'], context])).toEqual([
      [2, { tenant: 'a' }],
      [3, undefined],
    ]);
  });
});

describe('createNotifyTrigger()', () => {
  it.each<[string, object, RegExp]>([
    [
      'an unknown option',
      { table: 'author', exlude: ['password'] },
      /known options for createNotifyTrigger\(\).*"exlude"/,
    ],
    [
      'an unknown column',
      { table: 'author', exclude: ['pasword'] },
      /columns of "author" \(id, password\), got "pasword"/,
    ],
    ['no table', {}, /option "table" of createNotifyTrigger\(\) to be given/],
    [
      'a table that does not exist',
      { table: 'public.author' },
      /a table that exists, got "public"."public.author"/,
    ],
    [
      'an unknown operation',
      { table: 'author', on: ['upsert'] },
      /operations \(insert, update, delete, truncate\), got "upsert"/,
    ],
  ])('refuses %s before anything is created', async (_, literals, message) => {
    const source = await start([]);
    await source.query('create table author (id int primary key, password text)');
    const runner = source.createQueryRunner();
    await expect(createNotifyTrigger(runner, literals as never)).rejects.toMatchObject({
      code: 'INVALID_TRIGGER',
    });
    await expect(createNotifyTrigger(runner, literals as never)).rejects.toThrow(message);
    await runner.release();
    expect(await source.query(`select proname from pg_proc where proname like 'pgpubsub%'`)).toEqual([]);
  });

  it('knows the primary key of the table', async () => {
    const source = await start([]);
    await source.query('create table pair (a int, note text, b int, primary key (b, a))');
    const runner = source.createQueryRunner();
    await createNotifyTrigger(runner, { table: 'pair' });
    await runner.release();
    const sent = await listen(database, 'pair');
    await source.query(`insert into pair values (1, repeat('x', 9000), 2)`);
    expect((await sent.end()).map(({ new: row, truncated }) => [row, truncated])).toEqual([
      [{ a: 1, b: 2 }, true],
    ]);
  });
});

it('withPgPubSub() refuses what it does not know', () => {
  const source = new DataSource({ type: 'postgres' });
  expect(() => withPgPubSub(source, { trigers: [] } as never)).toThrow(
    /known options for withPgPubSub\(\): channels, triggers, owner, schema, role, got "trigers"/,
  );
  expect(() => withPgPubSub({ type: 'postgres' } as never)).toThrow(
    /expected a DataSource of type "postgres", got an object/,
  );
});

/** Since PostgreSQL 15. */
async function hasMerge(): Promise<boolean> {
  const [row] = await database.query<{ version: number }>(
    "select current_setting('server_version_num')::int as version",
  );
  return (row?.version ?? 0) >= 150_000;
}
