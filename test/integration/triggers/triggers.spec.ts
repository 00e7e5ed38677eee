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
import { NotifyChanges } from '../../../lib/triggers/notify-changes.decorator.js';
import { type WithPgPubSubOptions } from '../../../lib/triggers/database.js';
import { withPgPubSub } from '../../../lib/triggers/with-pg-pubsub.js';
import { listen, type Sent } from '../../support/sent.js';
import { useDatabase } from '../../support/use-database.js';

const database = useDatabase({ per: 'test' });

type Entities = MixedList<(abstract new () => unknown) | EntitySchema>;

const start = (entities: Entities, options?: WithPgPubSubOptions, more: object = {}): Promise<DataSource> =>
  database.connect({ dataSource: { entities: entities as never, synchronize: true, ...more }, ...options });

describe.each(['row', 'statement'] as const)('triggers at level "%s"', (level) => {
  const levels = { level };

  it('notify inserts, updates that change a value, deletes and truncates', async () => {
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

  it('send `columns`, hide columns with `select: false`, and compare `of` by value', async () => {
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

  it('evaluate the condition for inserts, updates and deletes', async () => {
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

  it('notify rows of COPY, and those that a foreign key changes by cascading', async () => {
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

  it('send nothing in a transaction that disables them, and carry the context of a transaction', async () => {
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

it('withPgPubSub() rejects unknown options', () => {
  const source = new DataSource({ type: 'postgres' });
  expect(() => withPgPubSub(source, { trigers: [] } as never)).toThrow(
    /known options for withPgPubSub\(\): channels, triggers, owner, schema, role, got "trigers"/,
  );
  expect(() => withPgPubSub({ type: 'postgres' } as never)).toThrow(
    /expected a DataSource of type "postgres", got an object/,
  );
});

/** Whether the server has MERGE, which is new in PostgreSQL 15. */
async function hasMerge(): Promise<boolean> {
  const [row] = await database.query<{ version: number }>(
    "select current_setting('server_version_num')::int as version",
  );
  return (row?.version ?? 0) >= 150_000;
}
