import { Column, Entity, PrimaryColumn, PrimaryGeneratedColumn } from 'typeorm';
import { describe, expect, it } from 'vitest';
import { NotifyChanges, type NotifyChangesOptions } from 'nestjs-pgpubsub';
import {
  NOTHING,
  LEVELS,
  CREATED_WITH_CONDITION,
  DROPPED,
  REPLACED,
  generate,
  run,
  triggerVerbs,
  verbs,
  type Entities,
  useMigrations,
} from '../../support/migrations.js';
import { rowsOf, type Sent } from '../../support/sent.js';

const { client, connect, migrateTo, objects, query, sentBy } = useMigrations();

describe.each(LEVELS)('a rename with a trigger at level "%s"', (level) => {
  const declared = { level, on: ['insert'], when: 'NEW.id is not null' } as const;
  const write = (table: string) => query(`insert into ${table} (name) values ('a')`);

  /**
   * An entity without a sequence, for which TypeORM would create a new one after a rename, in two
   * rounds.
   */
  function writer(name: string, { schema, ...options }: NotifyChangesOptions & { schema?: string } = {}) {
    @Entity({ name, ...(schema && { schema }) })
    @NotifyChanges({ ...declared, ...options })
    class Writer {
      @PrimaryColumn('float8', { default: () => 'random()' }) id!: number;
      @Column('text') name!: string;
    }
    return Writer;
  }

  /** Expects one notification on the channel, and no other object of the library. */
  async function expectOneTrigger(channel: string, table: string): Promise<void> {
    const sent = await sentBy(channel, () => write(table));
    expect(sent.map(({ operation, new: row }) => [operation, row?.['name']])).toEqual([['insert', 'a']]);
    const { triggers, functions } = await objects();
    expect([triggers.length, functions.length]).toEqual([1, level === 'row' ? 0 : 1]);
  }

  it('changes nothing when it affects only the entity class', async () => {
    await migrateTo([writer('author')]);
    @Entity('author')
    @NotifyChanges(declared)
    class Author {
      @PrimaryColumn('float8', { default: () => 'random()' }) id!: number;
      @Column('text') name!: string;
    }
    expect(await migrateTo([Author])).toEqual(NOTHING);
    await expectOneTrigger('author', 'author');
  });

  it.each([
    ['the default channel', {}, 'writer'],
    ['a channel of its own', { channel: 'changes' }, 'changes'],
  ])('leaves one trigger when it affects the table, on %s', async (_, options, channel) => {
    await migrateTo([writer('author', options)]);
    await query('alter table author rename to writer');
    await write('writer'); // writes succeed before the migration
    await migrateTo([writer('writer', options)]);
    await expectOneTrigger(channel, 'writer');
  });

  it('leaves no trigger on the old table when it affects only the entity, for which TypeORM creates a table', async () => {
    await migrateTo([writer('author')]);
    await migrateTo([writer('writer')]);
    await expectOneTrigger('writer', 'writer');
  });

  it('leaves one trigger when it affects the schema, and no function in the old schema', async () => {
    await query('create schema "Old Press"');
    await migrateTo([writer('author', { schema: 'Old Press' })]);
    await query('alter schema "Old Press" rename to press');
    await write('press.author'); // writes succeed before the migration
    await migrateTo([writer('author', { schema: 'press' })]);
    await expectOneTrigger('press.author', 'press.author');
    expect(await objects()).toMatchObject({
      functions: level === 'row' ? [] : ['press: pgpubsub_author_press_author'],
    });
  });

  it('leaves one trigger when the table moves into another schema, and no function in the old schema', async () => {
    await migrateTo([writer('author')]);
    await query('create schema press; alter table author set schema press');
    await write('press.author'); // writes succeed before the migration
    await migrateTo([writer('author', { schema: 'press' })]);
    await expectOneTrigger('press.author', 'press.author');
    expect(await objects()).toMatchObject({
      functions: level === 'row' ? [] : ['press: pgpubsub_author_press_author'],
    });
  });
});

describe.each(LEVELS)('a trigger at level "%s"', (level) => {
  const watched = { level, columns: ['id', 'name'], of: ['name'], when: `coalesce(NEW.id, OLD.id) > 0` };
  const everything = { level, channel: 'everything' };

  function before() {
    @Entity('author')
    @NotifyChanges(watched)
    @NotifyChanges(everything)
    class Author {
      @PrimaryGeneratedColumn() id!: number;
      @Column('text') name!: string;
      @Column('text', { default: 'none' }) bio!: string;
      @Column('integer', { default: 1 }) rank!: number;
    }
    return Author;
  }

  /**
   * Writes in the same session before and after the migration: its prepared statements must still
   * work.
   */
  async function writesAround(after: Entities): Promise<[string, Sent[], Sent[]]> {
    await migrateTo([before()]);
    const writer = await client();
    const write = async () => {
      await writer.query(`insert into author (name) values ('a')`);
      await writer.query(`update author set name = 'b'`);
      await writer.query(`delete from author`);
    };
    await write();
    const { up } = await migrateTo(after);
    const everythingSent: Sent[] = [];
    const sent = await sentBy('author', async () =>
      everythingSent.push(...(await sentBy('everything', write))),
    );
    return [verbs(up).join(', '), sent, everythingSent];
  }

  const expectedNames = [
    ['insert', null, 'a'],
    ['update', 'a', 'b'],
    ['delete', 'b', null],
  ];
  const namesIn = (sent: readonly Sent[]) =>
    sent.map(({ operation, old, new: row }) => [operation, old?.['name'] ?? null, row?.['name'] ?? null]);

  it('continues when TypeORM drops a column', async () => {
    @Entity('author')
    @NotifyChanges(watched)
    @NotifyChanges(everything)
    class Author {
      @PrimaryGeneratedColumn() id!: number;
      @Column('text') name!: string;
      @Column('integer', { default: 1 }) rank!: number;
    }
    const [done, sent, all] = await writesAround([Author]);
    expect(done).toContain('alter table');
    expect(namesIn(sent)).toEqual(expectedNames);
    expect(namesIn(all)).toEqual(expectedNames);
    expect(Object.keys(all[1]?.new ?? {})).toEqual(['id', 'name', 'rank']);
    expect(Object.keys(sent[1]?.old ?? {})).toEqual(['id', 'name']);
  });

  it('continues when TypeORM renames a column', async () => {
    @Entity('author')
    @NotifyChanges(watched)
    @NotifyChanges(everything)
    class Author {
      @PrimaryGeneratedColumn() id!: number;
      @Column('text') name!: string;
      @Column('text', { default: 'none' }) biography!: string;
      @Column('integer', { default: 1 }) rank!: number;
    }
    const [done, sent, all] = await writesAround([Author]);
    expect(done).toContain('alter table');
    expect(namesIn(sent)).toEqual(expectedNames);
    expect(namesIn(all)).toEqual(expectedNames);
    expect(all[0]?.new).toMatchObject({ biography: 'none' });
  });

  it('continues when TypeORM changes the type of a column', async () => {
    @Entity('author')
    @NotifyChanges(watched)
    @NotifyChanges(everything)
    class Author {
      @PrimaryGeneratedColumn() id!: number;
      @Column('text') name!: string;
      @Column('text', { default: 'none' }) bio!: string;
      @Column('text', { default: 'first' }) rank!: string;
    }
    const [done, sent, all] = await writesAround([Author]);
    expect(done).toContain('alter table');
    expect(namesIn(sent)).toEqual(expectedNames);
    expect(all[0]?.new).toMatchObject({ rank: 'first' });
  });

  it('continues when TypeORM renames the column that it sends and compares', async () => {
    @Entity('author')
    @NotifyChanges({ ...watched, columns: ['id', 'title'], of: ['title'] })
    @NotifyChanges(everything)
    class Author {
      @PrimaryGeneratedColumn() id!: number;
      @Column('text') title!: string;
      @Column('text', { default: 'none' }) bio!: string;
      @Column('integer', { default: 1 }) rank!: number;
    }
    await migrateTo([before()]);
    const { up } = await migrateTo([Author]);
    expect(triggerVerbs(up).filter((verb) => verb !== 'do')).toEqual(
      level === 'row' ? [...DROPPED, ...REPLACED, ...CREATED_WITH_CONDITION] : REPLACED,
    );
    const sent = await sentBy('author', async () => {
      await query(`insert into author (title) values ('a')`);
      await query(`update author set bio = 'x'`);
      await query(`update author set title = 'b'`);
    });
    expect(rowsOf(sent)).toEqual([
      { id: 1, title: 'a' },
      { id: 1, title: 'b' },
    ]);
  });

  it('makes the migration fail that drops a column of "when", instead of the next write', async () => {
    const declared = (hasActive: boolean) => {
      @Entity('author')
      @NotifyChanges({ level, when: 'coalesce(NEW.active, OLD.active)' })
      class Author {
        @PrimaryGeneratedColumn() id!: number;
        @Column('text', { nullable: true }) name!: string | null;
      }
      if (hasActive) Column('boolean', { default: true })(Author.prototype, 'active');
      return Author;
    };
    await migrateTo([declared(true)]);
    const source = await connect([declared(false)]);
    const { up } = await generate(source);
    await expect(run(source, up)).rejects.toThrow('active');
    await expect(source.synchronize()).rejects.toThrow('active');
  });
});
