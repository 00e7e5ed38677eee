import {
  ChildEntity,
  Column,
  DataSource,
  DefaultNamingStrategy,
  Entity,
  EntitySchema,
  JoinTable,
  ManyToMany,
  PrimaryColumn,
  PrimaryGeneratedColumn,
  TableInheritance,
  ViewEntity,
  type DataSourceOptions,
} from 'typeorm';
import type { PostgresDataSourceOptions } from 'typeorm/driver/postgres/PostgresDataSourceOptions.js';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import {
  NotifyChanges,
  PgPubSubError,
  createNotifyTrigger,
  dropNotifyTrigger,
  withPgPubSub,
  type NotifyChangesOptions,
  type NotifyTriggerLiterals,
  type WithPgPubSubOptions,
} from 'nestjs-pgpubsub';
import { TestDatabase } from '../support/database.js';
import { Mailbox } from '../support/mailbox.js';

let database: TestDatabase;
const sources: DataSource[] = [];
beforeEach(async () => {
  database = await TestDatabase.create();
});
afterEach(async () => {
  for (const source of sources.splice(0)) if (source.isInitialized) await source.destroy();
  await database[Symbol.asyncDispose]();
});

type Entities = readonly (EntitySchema | (abstract new () => unknown))[];
interface Given extends WithPgPubSubOptions {
  readonly dataSource?: Partial<PostgresDataSourceOptions>;
}

function declare(entities: Entities, { dataSource, ...options }: Given = {}): DataSource {
  const given = { type: 'postgres', url: database.url, entities: entities as never, ...dataSource } as const;
  const source = withPgPubSub(new DataSource(given), options);
  sources.push(source);
  return source;
}

const connect = (entities: Entities, given?: Given): Promise<DataSource> =>
  declare(entities, given).initialize();

interface Migration {
  readonly up: readonly string[];
  readonly down: readonly string[];
}

const NOTHING: Migration = { up: [], down: [] };

/** As `typeorm migration:generate` does it. */
async function generate(source: DataSource): Promise<Migration> {
  const { upQueries, downQueries } = await source.driver.createSchemaBuilder().log();
  return {
    up: upQueries.map(({ query }) => query),
    down: downQueries.toReversed().map(({ query }) => query),
  };
}

/** As `typeorm migration:run` and `migration:revert` do it. */
const run = (source: DataSource, statements: readonly string[]): Promise<void> =>
  source.transaction(async ({ queryRunner }) => {
    for (const statement of statements) await queryRunner?.query(statement);
  });

/**
 * Generates and runs the migration. On the way: afterwards there is nothing to generate, reverting it leaves the
 * database as it was, object by object, and it runs again.
 */
async function migrate(source: DataSource): Promise<Migration> {
  const before = await snapshot();
  const migration = await generate(source);
  await run(source, migration.up);
  expect(await generate(source)).toEqual(NOTHING);
  const after = await snapshot();
  await run(source, migration.down);
  expect(await snapshot()).toEqual(before);
  await run(source, migration.up);
  expect(await snapshot()).toEqual(after);
  return migration;
}

/** Connects to what others have left, and migrates. */
async function migrateTo(entities: Entities, given?: Given): Promise<Migration> {
  const source = await connect(entities, given);
  const migration = await migrate(source);
  await source.destroy();
  return migration;
}

const ours = "n.nspname not in ('pg_catalog', 'information_schema') and n.nspname not like 'pg_toast%'";
const SNAPSHOT = {
  functions: `select n.nspname, p.proname, pg_get_functiondef(p.oid) as definition, obj_description(p.oid, 'pg_proc') as comment
    from pg_proc p join pg_namespace n on n.oid = p.pronamespace where ${ours} order by 1, 2`,
  triggers: `select n.nspname, c.relname, t.tgname, t.tgenabled, pg_get_triggerdef(t.oid) as definition, obj_description(t.oid, 'pg_trigger') as comment
    from pg_trigger t join pg_class c on c.oid = t.tgrelid join pg_namespace n on n.oid = c.relnamespace
    where not t.tgisinternal order by 1, 2, 3`,
  columns: `select table_schema, table_name, column_name, data_type, is_nullable, column_default
    from information_schema.columns n where table_schema not in ('pg_catalog', 'information_schema') order by 1, 2, 3`,
  constraints: `select n.nspname, c.conname, pg_get_constraintdef(c.oid) as definition
    from pg_constraint c join pg_namespace n on n.oid = c.connamespace where ${ours} order by 1, 2`,
};

type Snapshot = Record<keyof typeof SNAPSHOT, Record<string, string | null>[]>;

async function snapshot(): Promise<Snapshot> {
  const client = await database.client();
  await client.query("set search_path = ''"); // definitions name everything with its schema
  const read = async (kind: keyof typeof SNAPSHOT) => (await client.query(SNAPSHOT[kind])).rows;
  const functions = await read('functions');
  const triggers = await read('triggers');
  const columns = await read('columns');
  const constraints = await read('constraints');
  await client.end();
  return { functions, triggers, columns, constraints };
}

/** `schema.table: trigger`, and `schema: function`, of the whole database. */
async function objects(): Promise<{ triggers: string[]; functions: string[] }> {
  const { triggers, functions } = await snapshot();
  const readable = (name: unknown) => String(name).replace(/_[0-9a-f]{8}(?=_|$)/, '');
  return {
    triggers: triggers.map((row) => `${row['nspname']}.${row['relname']}: ${readable(row['tgname'])}`),
    functions: functions.map((row) => `${row['nspname']}: ${readable(row['proname'])}`),
  };
}

/** What statements do, without their details: `create trigger`, `alter table`. */
const verbs = (statements: readonly string[]): string[] =>
  statements.map(
    (text) =>
      /^(?:create or replace function|create function|(?:create|drop|alter|comment on) \w+|do)\b/i
        .exec(text)?.[0]
        .toLowerCase() ?? text,
  );

/** The verbs that concern triggers. */
const triggerVerbs = (statements: readonly string[]): string[] =>
  verbs(statements).filter((verb) => /trigger|function|^do$/.test(verb));

interface Sent {
  readonly operation: string;
  readonly table: string;
  readonly old: Record<string, unknown> | null;
  readonly new: Record<string, unknown> | null;
}

/** What `act` notifies on the channel, as any client sees it. */
async function sentBy(channel: string, act: () => Promise<unknown>): Promise<Sent[]> {
  const client = await database.client();
  const texts = new Mailbox<string>();
  client.on('notification', ({ payload }) => texts.push(payload ?? ''));
  await client.query(`listen "${channel}"`);
  await act();
  await client.query(`notify "${channel}", 'end'`);
  await texts.find((text) => text === 'end');
  await client.end();
  return texts.all.filter((text) => text !== 'end').map((text) => JSON.parse(text) as Sent);
}

/** The rows, new or else old. */
const rowsOf = (sent: readonly Sent[]) => sent.map((one) => one.new ?? one.old);

/** The error of this library that was rejected with, as `CODE: sentence`. */
async function errorOf(act: () => unknown): Promise<string> {
  try {
    await act();
  } catch (error) {
    return error instanceof PgPubSubError ? `${error.code}: ${error.message}` : String(error);
  }
  return 'no error';
}

const CREATED = ['create or replace function', 'comment on function', 'create trigger', 'comment on trigger'];
const REPLACED = ['create or replace function', 'comment on function'];

/** A table `author`, declared in one way or another. */
function author(...declarations: NotifyChangesOptions[]) {
  @Entity('author')
  class Author {
    @PrimaryGeneratedColumn() id!: number;
    @Column('text', { nullable: true }) name!: string | null;
    @Column('text', { nullable: true }) bio!: string | null;
    @Column('boolean', { default: true }) active!: boolean;
  }
  for (const options of declarations) NotifyChanges(options)(Author);
  return Author;
}

const LEVELS = ['row', 'statement'] as const;

describe('the first migration', () => {
  it('creates tables, functions, triggers and comments, and the second finds nothing', async () => {
    const migration = await migrateTo([author({}, { channel: 'cleared', on: 'truncate' })]);
    expect(verbs(migration.up)).toEqual(['create table', ...CREATED, ...CREATED]);
    expect(verbs(migration.down)).toEqual([
      'drop trigger', 'drop function', 'drop trigger', 'drop function', 'drop table',
    ]); // prettier-ignore
    expect(await objects()).toEqual({
      triggers: ['public.author: pgpubsub_author_author', 'public.author: pgpubsub_author_cleared_truncate'],
      functions: ['public: pgpubsub_author_author', 'public: pgpubsub_author_cleared'],
    });
    const { triggers, functions } = await snapshot();
    const comments = [...triggers, ...functions].map(({ comment }) => comment);
    expect(new Set(comments)).toEqual(new Set(['pgpubsub:public.migrations']));
  });

  it('contains no placeholders: it is plain SQL, for any client', async () => {
    const source = await connect([author({ when: 'NEW.active' })]);
    const { upQueries } = await source.driver.createSchemaBuilder().log();
    for (const { query, parameters } of upQueries) {
      expect(parameters ?? []).toEqual([]);
      await database.query(query);
    }
    expect(await generate(source)).toEqual(NOTHING);
  });

  it('does not depend on the search path of the session', async () => {
    await migrateTo([author({})]);
    await database.query(`alter database ${database.name} set search_path = 'pg_catalog', 'public'`);
    const source = await connect([author({})], { dataSource: { schema: 'public' } });
    expect(await generate(source)).toEqual(NOTHING);
    await source.destroy();
    await migrateTo([author({ on: 'insert' })], { dataSource: { schema: 'public' } });
  });
});

describe('a changed declaration', () => {
  const ROW: NotifyChangesOptions = {};
  const STATEMENT: NotifyChangesOptions = { level: 'statement' };
  it.each<[string, NotifyChangesOptions, NotifyChangesOptions, string[]]>([
    ['columns', ROW, { columns: ['id', 'name'] }, REPLACED],
    ['columns back', { columns: ['id', 'name'] }, ROW, REPLACED],
    ['of', ROW, { of: ['name'] }, REPLACED],
    ['when', ROW, { when: `NEW.name <> 'it''s'` }, ['do', ...REPLACED]],
    ['when changed', { when: 'NEW.active' }, { when: 'OLD.active' }, ['do', ...REPLACED]],
    ['when back', { when: 'NEW.active' }, ROW, REPLACED],
    ['on', ROW, { on: ['insert'] }, ['drop trigger', ...CREATED]],
    ['on with truncate', ROW, { on: ['insert', 'update', 'delete', 'truncate'] }, CREATED],
    ['level', ROW, STATEMENT, [
      'drop trigger', ...REPLACED, ...Array.from({ length: 3 }, () => ['create trigger', 'comment on trigger']).flat(),
    ]],
    ['level back', STATEMENT, ROW, [
      'drop trigger', 'drop trigger', 'drop trigger', ...REPLACED, 'create trigger', 'comment on trigger',
    ]],
    ['channel', ROW, { channel: 'writers' }, ['drop trigger', 'drop function', ...CREATED]],
    ['columns per statement', STATEMENT, { ...STATEMENT, columns: ['id'] }, REPLACED],
    ['of per statement', STATEMENT, { ...STATEMENT, of: ['bio'] }, REPLACED],
    ['when per statement', STATEMENT, { ...STATEMENT, when: 'NEW.active' }, ['do', ...REPLACED]],
  ])('(%s) replaces exactly that, and can be reverted', async (_, before, after, expected) => {
    await migrateTo([author(before)]);
    const { up } = await migrateTo([author(after)]);
    expect(verbs(up)).toEqual(expected);
  }); // prettier-ignore

  it('takes effect', async () => {
    await migrateTo([author({})]);
    await migrateTo([
      author({ columns: ['name'], of: ['name'], when: 'NEW.active', on: ['insert', 'update'] }),
    ]);
    const sent = await sentBy('author', async () => {
      await database.query(`insert into author (name) values ('a')`);
      await database.query(`insert into author (name, active) values ('b', false)`);
      await database.query(`update author set bio = 'x'`);
      await database.query(`update author set name = 'A' where name = 'a'`);
      await database.query(`delete from author`);
    });
    expect(sent.map(({ operation, new: row }) => [operation, row])).toEqual([
      ['insert', { name: 'a' }],
      ['update', { name: 'A' }],
    ]);
  });

  it('leaves other triggers of the table alone', async () => {
    await migrateTo([author({}, { channel: 'other' })]);
    const { up } = await migrateTo([author({ of: ['bio'] }, { channel: 'other' })]);
    expect(verbs(up)).toEqual(REPLACED);
    expect(up[0]).toContain('pgpubsub_author_author_');
  });

  it('is the same declaration in another order, and with defaults written out', async () => {
    await migrateTo([author({}, { channel: 'other', on: ['update', 'insert'] })]);
    const source = await connect([
      author(
        { channel: 'other', on: ['insert', 'update'] },
        {
          channel: 'author',
          on: ['delete', 'update', 'insert'],
          level: 'row',
          of: [],
          delivery: 'broadcast',
        },
      ),
    ]);
    expect(await generate(source)).toEqual(NOTHING);
  });

  it('drops trigger and function when it is removed', async () => {
    await migrateTo([author({}, { channel: 'all', level: 'statement', on: ['update', 'truncate'] })]);
    const { up } = await migrateTo([author()]);
    expect(verbs(up)).toEqual([
      'drop trigger', 'drop trigger', 'drop trigger', 'drop function', 'drop function',
    ]); // prettier-ignore
    expect(await objects()).toEqual({ triggers: [], functions: [] });
  });
});

describe.each(LEVELS)('a rename, with a trigger at level "%s"', (level) => {
  const declared = { level, on: ['insert'], when: 'NEW.id is not null' } as const;
  const write = (table: string) => database.query(`insert into ${table} (name) values ('a')`);

  /** Without a sequence: TypeORM makes a new one for a renamed table, in two rounds. */
  function writer(name: string, { schema, ...options }: NotifyChangesOptions & { schema?: string } = {}) {
    @Entity({ name, ...(schema && { schema }) })
    @NotifyChanges({ ...declared, ...options })
    class Writer {
      @PrimaryColumn('float8', { default: () => 'random()' }) id!: number;
      @Column('text') name!: string;
    }
    return Writer;
  }

  /** The one channel hears it once, nothing else of ours is left. */
  async function expectOneTrigger(channel: string, table: string): Promise<void> {
    const sent = await sentBy(channel, () => write(table));
    expect(sent.map(({ operation, new: row }) => [operation, row?.['name']])).toEqual([['insert', 'a']]);
    const { triggers, functions } = await objects();
    expect([triggers.length, functions.length]).toEqual([1, 1]);
  }

  it('of the entity changes nothing', async () => {
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
  ])('of the table leaves one trigger, on %s', async (_, options, channel) => {
    await migrateTo([writer('author', options)]);
    await database.query('alter table author rename to writer');
    await write('writer'); // nobody's write fails before the migration
    await migrateTo([writer('writer', options)]);
    await expectOneTrigger(channel, 'writer');
  });

  it('of the table in the entity only, upon which TypeORM makes a new one, leaves none at the old one', async () => {
    await migrateTo([writer('author')]);
    await migrateTo([writer('writer')]);
    await expectOneTrigger('writer', 'writer');
  });

  it('of the schema leaves one trigger, and no function in the old one', async () => {
    await database.query('create schema "Old Press"');
    await migrateTo([writer('author', { schema: 'Old Press' })]);
    await database.query('alter schema "Old Press" rename to press');
    await write('press.author'); // nobody's write fails before the migration
    await migrateTo([writer('author', { schema: 'press' })]);
    await expectOneTrigger('author', 'press.author');
    expect(await objects()).toMatchObject({ functions: ['press: pgpubsub_author_author'] });
  });

  it('into another schema leaves one trigger, and no function in the old one', async () => {
    await migrateTo([writer('author')]);
    await database.query('create schema press; alter table author set schema press');
    await write('press.author'); // nobody's write fails before the migration
    await migrateTo([writer('author', { schema: 'press' })]);
    await expectOneTrigger('author', 'press.author');
    expect(await objects()).toMatchObject({ functions: ['press: pgpubsub_author_author'] });
  });
});

describe.each(LEVELS)('while a trigger at level "%s" watches, TypeORM', (level) => {
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

  /** The same session writes before and after: what it has prepared must not get in the way. */
  async function writesAround(after: Entities): Promise<[string, Sent[], Sent[]]> {
    await migrateTo([before()]);
    const writer = await database.client();
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

  it('drops a column', async () => {
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

  it('renames a column', async () => {
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

  it('changes the type of a column', async () => {
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

  it('renames the very column that is carried and watched', async () => {
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
    expect(triggerVerbs(up)).toEqual(['do', ...REPLACED]);
    const sent = await sentBy('author', async () => {
      await database.query(`insert into author (title) values ('a')`);
      await database.query(`update author set bio = 'x'`);
      await database.query(`update author set title = 'b'`);
    });
    expect(rowsOf(sent)).toEqual([
      { id: 1, title: 'a' },
      { id: 1, title: 'b' },
    ]);
  });

  it('cannot take away what "when" reads: the migration fails, not the next write', async () => {
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

describe('two DataSources on one database', () => {
  @Entity()
  @NotifyChanges()
  class Book {
    @PrimaryGeneratedColumn() id!: number;
    @Column('text') title!: string;
  }

  it.each<[string, Given, Given]>([
    ['owners', { owner: 'writers' }, { owner: "readers' own" }],
    ['migrations tables', {}, { dataSource: { migrationsTableName: 'shop_migrations' } }],
  ])('with different %s leave the triggers of each other alone', async (_, first, second) => {
    await migrateTo([author({})], first);
    const { up } = await migrateTo([Book], second);
    expect(verbs(up)).toEqual(['create table', ...CREATED]);
    const both = await snapshot();
    expect(await migrateTo([author({})], first)).toEqual(NOTHING);

    const { up: goes } = await migrateTo([author()], first);
    expect(verbs(goes)).toEqual(['drop trigger', 'drop function']);
    expect(await objects()).toEqual({
      triggers: ['public.book: pgpubsub_book_book'],
      functions: ['public: pgpubsub_book_book'],
    });
    await migrateTo([author({})], first);
    const source = await connect([Book], second);
    await source.synchronize();
    expect(await snapshot()).toEqual(both);
  });

  it('may watch the same table, on channels of their own', async () => {
    await migrateTo([author({ channel: 'a' })], { owner: 'a' });
    const { up } = await migrateTo([author({ channel: 'b' })], { owner: 'b' });
    expect(verbs(up)).toEqual(CREATED);
    const sent = await sentBy('a', () => database.query('insert into author default values'));
    expect(sent.length).toBe(1);
    expect(verbs((await migrateTo([author()], { owner: 'b' })).up)).toEqual([
      'drop trigger',
      'drop function',
    ]);
    expect(await migrateTo([author({ channel: 'a' })], { owner: 'a' })).toEqual(NOTHING);
  });

  it('that declare the same trigger share the one that is there', async () => {
    await migrateTo([author({})], { owner: 'a' });
    expect(await migrateTo([author({})], { owner: 'b' })).toEqual(NOTHING);
    expect(await migrateTo([author()], { owner: 'b' })).toEqual(NOTHING);
    expect(await migrateTo([author({})], { owner: 'a' })).toEqual(NOTHING);
  });

  it('that declare different triggers for one table and channel are told so', async () => {
    await migrateTo([author({})], { owner: 'a' });
    const before = await snapshot();
    const source = await connect([author({ on: 'insert' })], { owner: 'b' });
    expect(await errorOf(() => generate(source))).toBe(
      'INVALID_TRIGGER: expected the trigger of the table "author" for the channel "author" to be as "b" declares it, ' +
        'got another one, which belongs to "a". Declare the same, or give it a channel of its own; ' +
        'when "a" was the name of this application, give withPgPubSub() the option "owner".',
    );
    expect(await errorOf(() => source.synchronize())).toMatch(/^INVALID_TRIGGER: /);
    expect(await snapshot()).toEqual(before);
  });
});

describe('what was changed by hand', () => {
  const declared = {
    row: author({ on: ['insert', 'update', 'truncate'] }),
    statement: author({ on: ['insert', 'update', 'truncate'], level: 'statement' }),
  };
  const MINE = "comment on trigger T on author is 'pgpubsub:migrations'";
  const DRIFT: [string, string, string][] = [
    ['a trigger that was dropped', 'drop trigger T on author', 'create trigger, comment on trigger'],
    ['a trigger that was disabled', 'alter table author disable trigger T', 'alter table'],
    ['a trigger that fires on replicas only', 'alter table author enable replica trigger T', 'alter table'],
    ['a trigger whose comment was removed', 'comment on trigger T on author is null', 'drop trigger, create trigger, comment on trigger'],
    ['a trigger with another comment', "comment on trigger T on author is 'mine'", 'drop trigger, create trigger, comment on trigger'],
    ['a trigger for less', 'drop trigger T on author; create trigger T after insert on author for each statement execute function F(); MINE', 'drop trigger, create trigger, comment on trigger'],
    ['a trigger that runs before', 'drop trigger T on author; create trigger T before insert or update on author for each row execute function F(); MINE', 'drop trigger, create trigger, comment on trigger'],
    ['a trigger with a condition', 'drop trigger T on author; create trigger T after insert or update on author for each row when (new.id > 5) execute function F(); MINE', 'drop trigger, create trigger, comment on trigger'],
    ['a trigger of some columns', 'drop trigger T on author; create trigger T after insert or update of name on author for each row execute function F(); MINE', 'drop trigger, create trigger, comment on trigger'],
    ['a trigger that is deferred', 'drop trigger T on author; create constraint trigger T after insert or update on author deferrable initially deferred for each row execute function F(); MINE', 'drop trigger, create trigger, comment on trigger'],
    ['a trigger that was dropped, recreated and disabled', 'drop trigger T on author; create trigger T after delete on author for each row execute function F(); MINE; alter table author disable trigger T', 'drop trigger, create trigger, comment on trigger'],
    ['a trigger of another function', `create function other() returns trigger language plpgsql as 'begin return null; end';
      drop trigger T on author; create trigger T after insert or update on author for each row execute function other(); MINE`, 'drop trigger, create trigger, comment on trigger'],
    ['a function of another body', "create or replace function F() returns trigger language plpgsql as 'begin return null; end'", REPLACED.join(', ')],
    ['a function with the rights of its owner', 'alter function F() security definer', REPLACED.join(', ')],
    ['a function without its settings', 'alter function F() reset all', REPLACED.join(', ')],
    ['a function with another search path', 'alter function F() set search_path = public', REPLACED.join(', ')],
    ['a function with one more setting', "alter function F() set work_mem = '1MB'", REPLACED.join(', ')],
    ['a function whose comment was removed', 'comment on function F() is null', REPLACED.join(', ')],
    ['a function that was dropped with its triggers', 'drop function F() cascade', 'create or replace function, comment on function, create trigger, comment on trigger, create trigger, comment on trigger'],
    ['a copy of a trigger under another name', 'create trigger copy after insert on author for each row execute function F()', 'drop trigger'],
  ]; // prettier-ignore

  it.each(DRIFT)('(%s) is found and mended; reverting brings it back', async (_, drift, expected) => {
    await migrateTo([declared.row]);
    const good = await snapshot();
    const [name] = good.functions.map(({ proname }) => String(proname));
    await database.query(drift.replaceAll('MINE', MINE).replaceAll(/\bT\b|\bF\b/g, name ?? ''));
    expect(await snapshot()).not.toEqual(good);

    const { up } = await migrateTo([declared.row]);
    expect(verbs(up).join(', ')).toBe(expected);
    const left = (await snapshot()).functions.length - good.functions.length; // the hand's own function is not ours
    expect(await snapshot()).toMatchObject({
      ...good,
      ...(left > 0 && { functions: expect.anything() as never }),
    });
  });

  it.each([
    ['without transition tables', 'after update on author for each statement'],
    ['with other transition tables', 'after update on author referencing old table as a new table as b for each statement'],
    ['for each row', 'after update on author for each row'],
  ])('(a statement trigger %s) is found and mended; reverting brings it back', async (_, definition) => {
    await migrateTo([declared.statement]);
    const good = await snapshot();
    const name = String(good.triggers.find(({ tgname }) => String(tgname).endsWith('_update'))?.['tgname']);
    const drift = `drop trigger ${name} on author; create trigger ${name} ${definition} execute function ${name.slice(0, -'_update'.length)}();
      ${MINE.replace('T', name)}`;
    await database.query(drift);
    const { up } = await migrateTo([declared.statement]);
    expect(verbs(up)).toEqual(['drop trigger', 'create trigger', 'comment on trigger']);
    expect(await snapshot()).toEqual(good);
  }); // prettier-ignore

  it('is dropped with the declaration, and comes back as it was', async () => {
    await migrateTo([declared.row]);
    const [name] = (await snapshot()).functions.map(({ proname }) => String(proname));
    await database.query(`comment on trigger ${name} on author is null; alter table author disable trigger ${name}`);
    await database.query(`create trigger copy after insert on author for each row execute function ${name}()`);
    await database.query(`alter table author enable always trigger ${name}_truncate`);
    await migrateTo([author()]);
    expect(await objects()).toEqual({ triggers: [], functions: [] });
  }); // prettier-ignore

  it('keeps a trigger that was told to fire always', async () => {
    await migrateTo([declared.row]);
    const [name] = (await snapshot()).functions.map(({ proname }) => String(proname));
    await database.query(`alter table author enable always trigger ${name}`);
    expect(await migrateTo([declared.row])).toEqual(NOTHING);
  });

  it('does not touch functions and triggers of others, whatever they are called', async () => {
    await migrateTo([declared.row]);
    await database.query(`
      create function pgpubsub_mine() returns trigger language plpgsql as 'begin return null; end';
      create trigger pgpubsub_mine after insert on author for each row execute function pgpubsub_mine();
      comment on function pgpubsub_mine() is 'pgpubsub';
      comment on trigger pgpubsub_mine on author is 'my own pgpubsub:migrations';`);
    expect(await migrateTo([declared.row])).toEqual(NOTHING);
    await migrateTo([author()]);
    expect(await objects()).toEqual({
      triggers: ['public.author: pgpubsub_mine'],
      functions: ['public: pgpubsub_mine'],
    });
  });
});

describe('synchronize', () => {
  const declared = () => [author({}, { channel: 'bulk', level: 'statement', when: 'NEW.active' })];

  it('creates, changes and drops, and does nothing the second time', async () => {
    await connect(declared(), { dataSource: { synchronize: true } });
    const first = await snapshot();
    expect(first.triggers.length).toBe(4);
    const again = await connect(declared(), { dataSource: { synchronize: true } });
    expect(await snapshot()).toEqual(first);
    expect(await generate(again)).toEqual(NOTHING);

    await connect([author({ on: 'insert' })], { dataSource: { synchronize: true } });
    expect(await objects()).toEqual({
      triggers: ['public.author: pgpubsub_author_author'],
      functions: ['public: pgpubsub_author_author'],
    });
  });

  it.each([
    ['with the pool of the driver', {}],
    ['with two connections each', { poolSize: 2 }],
  ])('in four processes at once makes one schema (%s)', async (_, dataSource) => {
    const starting = Array.from({ length: 4 }, () =>
      connect(declared(), { dataSource: { synchronize: true, ...dataSource } }),
    );
    const started = await Promise.all(starting);
    expect((await snapshot()).triggers.length).toBe(4);
    for (const source of started) expect(await generate(source)).toEqual(NOTHING);
    const sent = await sentBy('author', () => database.query('insert into author default values'));
    expect(sent.length).toBe(1);
  });

  it.each([
    ['poolSize', { poolSize: 1 }],
    ['extra.max', { extra: { max: 1 } }],
  ])('works with a single connection, and everything else does, too (%s)', async (_, dataSource) => {
    const source = await connect(declared(), { dataSource: { synchronize: true, ...dataSource } });
    expect((await snapshot()).triggers.length).toBe(4);
    await source.synchronize();
    expect(await generate(source)).toEqual(NOTHING);
  });

  it('leaves no lock and no changed search path behind, also when it fails', async () => {
    const source = declare([author({ when: 'NEW.nope' })], { dataSource: { poolSize: 2 } });
    await source.initialize();
    await expect(source.synchronize()).rejects.toThrow('nope');
    const [locks] = await database.query(
      `select count(*)::int as n from pg_locks where locktype = 'advisory' and database = (select oid from pg_database where datname = current_database())`,
    );
    expect(locks).toEqual({ n: 0 });
    const runners = [source.createQueryRunner(), source.createQueryRunner()];
    for (const runner of runners)
      expect(await runner.query('show search_path')).toEqual([{ search_path: '"$user", public' }]);
    for (const runner of runners) await runner.release();
  });

  it('installs everything again after schema:drop, and with dropSchema', async () => {
    const source = await connect(declared(), { dataSource: { synchronize: true } });
    const whole = await snapshot();
    await source.dropDatabase();
    expect((await snapshot()).triggers).toEqual([]);
    await source.synchronize();
    expect(await snapshot()).toEqual(whole);
    await source.synchronize(true);
    expect(await snapshot()).toEqual(whole);
    await connect(declared(), { dataSource: { synchronize: true, dropSchema: true } });
    expect(await snapshot()).toEqual(whole);
  });

  it('drops the functions that schema:drop has left, when they are not declared any more', async () => {
    const source = await connect(declared(), { dataSource: { synchronize: true } });
    await source.dropDatabase();
    const after = await connect([author()]);
    await migrate(after);
    expect(await objects()).toEqual({ triggers: [], functions: [] });
  });
});

describe('entities of every kind:', () => {
  it('single table inheritance, declared on the parent: one trigger for all', async () => {
    @Entity()
    @TableInheritance({ column: { type: 'text', name: 'kind' } })
    @NotifyChanges()
    class Content {
      @PrimaryGeneratedColumn() id!: number;
    }
    @ChildEntity('photo')
    class Photo extends Content {
      @Column('text', { nullable: true }) size!: string;
      @Column('text', { nullable: true, select: false }) location!: string;
    }
    @ChildEntity("author's note")
    class Note extends Content {
      @Column('text', { nullable: true }) text!: string;
    }
    const source = await connect([Content, Photo, Note]);
    await migrate(source);
    expect((await objects()).triggers).toEqual(['public.content: pgpubsub_content_content']);
    const sent = await sentBy('content', async () => {
      await source.getRepository(Photo).save({ size: 'big', location: 'secret' });
      await source.getRepository(Note).save({ text: 'hello' });
    });
    expect(rowsOf(sent)).toEqual([
      { id: 1, kind: 'photo', size: 'big', text: null },
      { id: 2, kind: "author's note", size: null, text: 'hello' },
    ]);
  });

  it.each(LEVELS)('single table inheritance, declared on a child, at level "%s": its rows only', async (level) => {
    @Entity()
    @TableInheritance({ column: { type: 'text', name: 'Kind of' } })
    abstract class Content {
      @PrimaryGeneratedColumn() id!: number;
    }
    @ChildEntity('photo')
    class Photo extends Content {
      @Column('text', { nullable: true }) size!: string;
    }
    @ChildEntity("author's note")
    @NotifyChanges({ channel: 'notes', columns: ['id', 'text'], level })
    class Note extends Content {
      @Column('text', { nullable: true }) text!: string;
    }
    @ChildEntity('letter')
    class Letter extends Note {}
    const source = await connect([Content, Photo, Note, Letter]);
    await migrate(source);
    expect((await snapshot()).functions.length).toBe(1);
    const sent = await sentBy('notes', async () => {
      await source.getRepository(Photo).save({ size: 'big' });
      await source.getRepository(Note).save({ text: 'hello' });
      await source.getRepository(Letter).save({ text: 'dear' });
      await source.query('delete from content');
    });
    expect(sent.map(({ operation, old, new: row }) => [operation, (row ?? old)?.['text']])).toEqual([
      ['insert', 'hello'], ['insert', 'dear'], ['delete', 'hello'], ['delete', 'dear'],
    ]);
  }); // prettier-ignore

  it('a declaration on an abstract class, for each table that extends it', async () => {
    @NotifyChanges({ channel: 'audit', on: 'insert' })
    abstract class Audited {
      @PrimaryGeneratedColumn() id!: number;
    }
    @Entity()
    class Order extends Audited {}
    @Entity()
    class Invoice extends Audited {}
    const source = await connect([Order, Invoice]);
    await migrate(source);
    const sent = await sentBy('audit', async () => {
      await source.getRepository(Order).save({});
      await source.getRepository(Invoice).save({});
    });
    expect(sent.map(({ table }) => table)).toEqual(['order', 'invoice']);
  });

  it('embedded columns, custom column names and a naming strategy', async () => {
    class Snake extends DefaultNamingStrategy {
      override tableName(target: string, given: string | undefined): string {
        return given ?? snake(target);
      }
      override columnName(property: string, given: string | undefined, prefixes: string[]): string {
        return snake([...prefixes, given ?? property].join('_'));
      }
    }
    const snake = (text: string) => text.replaceAll(/(?<=[a-z])([A-Z])/g, '_$1').toLowerCase();
    class Street {
      @Column('text') streetName!: string;
      @Column('integer', { name: 'NUMBER' }) houseNumber!: number;
    }
    class Address {
      @Column(() => Street) street!: Street;
      @Column('text', { select: false }) doorCode!: string;
    }
    @Entity()
    @NotifyChanges({ channel: 'all' })
    @NotifyChanges({
      channel: 'moved',
      columns: ['fullName', 'homeAddress.street'],
      of: ['homeAddress.street.streetName', 'homeAddress.doorCode'],
    })
    class TheAuthor {
      @PrimaryGeneratedColumn() id!: number;
      @Column('text') fullName!: string;
      @Column(() => Address) homeAddress!: Address;
    }
    const source = await connect([TheAuthor], { dataSource: { namingStrategy: new Snake() } });
    await migrate(source);
    const moved: Sent[] = [];
    const all = await sentBy('all', async () => {
      const act = async () => {
        await source.query(
          `insert into the_author (full_name, home_address_street_street_name, home_address_street_number, home_address_door_code) values ('a', 'b', 1, '007')`,
        );
        await source.query(`update the_author set full_name = 'A'`);
        await source.query(`update the_author set home_address_door_code = '008'`);
      };
      moved.push(...(await sentBy('moved', act)));
    });
    const street = { home_address_street_street_name: 'b', home_address_street_number: 1 };
    expect(rowsOf(all).at(-1)).toEqual({ id: 1, full_name: 'A', ...street });
    expect(rowsOf(moved)).toEqual([{ full_name: 'a', ...street }, { full_name: 'A', ...street }]);
  }); // prettier-ignore

  it.each(LEVELS)('other schemas, and names that need quoting (%s)', async (level) => {
    await database.query(`create schema "My Schema"; create schema lesser`);
    const channel = `it's a \\ \${channel} \`of\` $1 ours`;
    @Entity({ name: `Täble of x \\ $pgpubsub$`, schema: 'My Schema' })
    @NotifyChanges({ channel, level, of: ['select'], columns: ['id', 'select'] })
    class Odd {
      @PrimaryColumn('integer', { name: 'The Id' }) id!: number;
      @Column('text', { name: `sel'ect $$ \\` }) select!: string;
    }
    @Entity()
    @NotifyChanges({ level })
    class Plain {
      @PrimaryColumn('integer') id!: number;
    }
    const source = await connect([Odd, Plain], { dataSource: { schema: 'lesser' } });
    await migrate(source);
    expect((await snapshot()).functions.map(({ nspname }) => nspname)).toEqual(['My Schema', 'lesser']);
    const sent = await sentBy(channel, async () => {
      await source.getRepository(Odd).insert({ id: 1, select: 'a' });
      await source.getRepository(Odd).update({ id: 1 }, { select: 'b' });
    });
    expect(rowsOf(sent)).toEqual([
      { 'The Id': 1, [`sel'ect $$ \\`]: 'a' },
      { 'The Id': 1, [`sel'ect $$ \\`]: 'b' },
    ]);
    expect(sent[0]?.table).toBe(`Täble of x \\ $pgpubsub$`);
    const plain = await sentBy('plain', () => source.getRepository(Plain).insert({ id: 1 }));
    expect(rowsOf(plain)).toEqual([{ id: 1 }]);
  });

  it('names as long as PostgreSQL allows, that differ at their ends only', async () => {
    const long = 'a'.repeat(59);
    @Entity(`${long}_one`)
    @NotifyChanges({ on: ['insert', 'truncate'], level: 'statement' })
    class One {
      @PrimaryColumn('integer') id!: number;
    }
    @Entity(`${long}_two`)
    @NotifyChanges({ on: ['insert', 'truncate'], level: 'statement' })
    class Two {
      @PrimaryColumn('integer') id!: number;
    }
    const source = await connect([One, Two]);
    await migrate(source);
    expect((await snapshot()).functions.length).toBe(2);
    const sent = await sentBy(`${long}_two`, () => source.getRepository(Two).insert({ id: 1 }));
    expect(rowsOf(sent)).toEqual([{ id: 1 }]);
  });

  it('EntitySchema entities, in the list given to withPgPubSub()', async () => {
    const Book = new EntitySchema<{ id: number; title: string; secret: string }>({
      name: 'Book',
      tableName: 'books',
      columns: {
        id: { type: Number, primary: true, generated: true },
        title: { type: 'text', name: 'the_title' },
        secret: { type: 'text', select: false, default: 'x' },
      },
    });
    const triggers = [
      { entity: Book },
      { entity: 'Book', channel: 'titles', columns: ['title'], of: ['title'] },
    ];
    const source = await connect([Book], { triggers });
    await migrate(source);
    const titles: Sent[] = [];
    const books = await sentBy('books', async () => {
      titles.push(
        ...(await sentBy('titles', () => source.query(`insert into books (the_title) values ('a')`))),
      );
    });
    expect([rowsOf(books), rowsOf(titles)]).toEqual([[{ id: 1, the_title: 'a' }], [{ the_title: 'a' }]]);
    await source.destroy();
    expect(verbs((await migrateTo([Book])).up)).toEqual([
      'drop trigger', 'drop trigger', 'drop function', 'drop function',
    ]);
  }); // prettier-ignore

  it('join tables, and tables that TypeORM does not know', async () => {
    @Entity()
    class Tag {
      @PrimaryGeneratedColumn() id!: number;
    }
    @Entity()
    class Post {
      @PrimaryGeneratedColumn() id!: number;
      @ManyToMany(() => Tag)
      @JoinTable({
        name: 'post_tags',
        joinColumn: { name: 'post_id' },
        inverseJoinColumn: { name: 'tag_id' },
      })
      tags!: Tag[];
    }
    await database.query('create schema legacy; create table legacy.log (id int primary key, line text)');
    const triggers = [
      { table: 'post_tags', channel: 'tagged' },
      { table: 'log', schema: 'legacy', primaryKey: ['id'], columns: ['id'], on: 'insert' },
    ] as const;
    const source = await connect([Post, Tag], { triggers });
    await migrate(source);
    const tagged = await sentBy('tagged', async () => {
      const post = await source
        .getRepository(Post)
        .save({ tags: [await source.getRepository(Tag).save({})] });
      await source.getRepository(Post).save({ id: post.id, tags: [] });
    });
    expect(tagged.map(({ operation, old, new: row }) => [operation, row ?? old])).toEqual([
      ['insert', { post_id: 1, tag_id: 1 }],
      ['delete', { post_id: 1, tag_id: 1 }],
    ]);
    const logged = await sentBy('log', () => database.query(`insert into legacy.log values (1, 'x')`));
    expect(rowsOf(logged)).toEqual([{ id: 1 }]);
  });
});

describe('handwritten migrations', () => {
  const literals: [string, NotifyChangesOptions, Omit<NotifyTriggerLiterals, 'table'>][] = [
    ['nothing but the table', {}, {}],
    ['a channel and operations', { channel: 'a', on: ['update', 'insert'] }, { channel: 'a', on: ['insert', 'update'] }],
    ['columns', { columns: ['name'] }, { columns: ['name'] }],
    ['of and when', { of: ['name', 'bio'], when: `NEW.name <> 'it''s'` }, { of: ['name', 'bio'], when: `NEW.name <> 'it''s'` }],
    ['every operation per statement', { level: 'statement', on: ['insert', 'update', 'delete', 'truncate'] }, { level: 'statement', on: ['insert', 'update', 'delete', 'truncate'] }],
    ['of and when per statement', { level: 'statement', of: ['name'], when: 'NEW.active' }, { level: 'statement', of: ['name'], when: 'NEW.active' }],
  ]; // prettier-ignore

  it.each(literals)('make what the declaration does (%s)', async (_, declaration, given) => {
    const source = await connect([author(declaration)]);
    const create = (await generate(source)).up.filter((statement) => /^create table/i.test(statement));
    await run(source, create);
    const before = await snapshot();
    const literal = { table: 'author', primaryKey: ['id'], ...given };
    await source.transaction(async ({ queryRunner }) => {
      if (queryRunner) await createNotifyTrigger(queryRunner, literal);
    });
    expect(await generate(source)).toEqual(NOTHING);
    expect(await snapshot()).not.toEqual(before);
    await source.transaction(async ({ queryRunner }) => {
      if (queryRunner) await dropNotifyTrigger(queryRunner, literal);
    });
    expect(await snapshot()).toEqual(before);
  });

  it('take the schema, the hidden columns and the owner as literals', async () => {
    await database.query('create schema "Press"');
    @Entity({ schema: 'Press' })
    @NotifyChanges()
    class User {
      @PrimaryGeneratedColumn() id!: number;
      @Column('text', { select: false }) password!: string;
    }
    const source = await connect([User], { owner: 'press' });
    await run(source, (await generate(source)).up.slice(0, 1));
    const runner = source.createQueryRunner();
    const literal = {
      schema: 'Press',
      table: 'user',
      primaryKey: ['id'],
      exclude: ['password'],
      owner: 'press',
    };
    await createNotifyTrigger(runner, literal);
    await runner.release();
    expect(await generate(source)).toEqual(NOTHING);
  });

  it('take the owner of the DataSource they run on', async () => {
    const source = await connect([author({})], { owner: 'press' });
    await run(source, (await generate(source)).up.slice(0, 1));
    const runner = source.createQueryRunner();
    await createNotifyTrigger(runner, { table: 'author', primaryKey: ['id'] });
    await runner.release();
    expect(await generate(source)).toEqual(NOTHING);
  });

  it('refuse a condition that does not fit, and a channel that cannot be', async () => {
    const source = await connect([author()]);
    await migrate(source);
    const before = await snapshot();
    const create = (given: Omit<NotifyTriggerLiterals, 'table'>) =>
      source.transaction(async ({ queryRunner }) => {
        if (queryRunner) await createNotifyTrigger(queryRunner, { table: 'author', ...given });
      });
    await expect(create({ when: 'NEW.nope' })).rejects.toThrow('column new.nope does not exist');
    await expect(create({ when: 'NEW.id >' })).rejects.toThrow('syntax error');
    expect(await errorOf(() => create({ channel: 'x'.repeat(64) }))).toMatch(/^INVALID_CHANNEL: .*63 bytes/);
    expect(await snapshot()).toEqual(before);
  });
});

describe('what cannot be meant', () => {
  it.each<[string, NotifyChangesOptions, string]>([
    ['an unknown property in "columns"', { columns: ['id', 'nope'] }, 'INVALID_TRIGGER: @NotifyChanges() on Author: expected properties of the entity (id, name, bio, active), got "nope". Correct the declaration.'],
    ['an unknown property in "of"', { of: ['nope'] }, 'INVALID_TRIGGER: @NotifyChanges() on Author: expected properties of the entity (id, name, bio, active), got "nope". Correct the declaration.'],
    ['an unknown operation', { on: 'upsert' as never }, 'INVALID_TRIGGER: expected the option "on" of @NotifyChanges() on Author to be '],
    ['no operation', { on: [] }, 'INVALID_TRIGGER: expected the option "on" of @NotifyChanges() on Author to be '],
    ['an unknown option', { table: 'x' } as never, 'INVALID_TRIGGER: expected only known options for @NotifyChanges() on Author: '],
    ['an unknown level', { level: 'table' as never }, 'INVALID_TRIGGER: expected the option "level" of @NotifyChanges() on Author to be '],
    ['an empty condition', { when: '' }, 'INVALID_TRIGGER: expected the option "when" of @NotifyChanges() on Author to be '],
    ['the end of the function in "when"', { when: `NEW.name = '$pgpubsub$'` }, 'INVALID_TRIGGER: @NotifyChanges() on Author: expected "when" without $pgpubsub$'],
    ['a channel name of 64 bytes', { channel: `${'x'.repeat(62)}é` }, 'INVALID_CHANNEL: '],
    ['an empty channel name', { channel: '' }, 'INVALID_CHANNEL: '],
  ])('(%s) is refused before anything is read or written', async (_, options, expected) => {
    const source = await connect([author(options)]);
    expect((await errorOf(() => generate(source))).slice(0, expected.length)).toBe(expected);
    expect((await errorOf(() => source.synchronize())).slice(0, expected.length)).toBe(expected);
    expect(await objects()).toEqual({ triggers: [], functions: [] });
  }); // prettier-ignore

  it('(two declarations for one channel) is refused', async () => {
    const source = await connect([author({}, { channel: 'author', on: 'insert' })]);
    expect(await errorOf(() => generate(source))).toBe(
      'INVALID_TRIGGER: expected one declaration for the table "author" and the channel "author", got two. ' +
        'Give one of them a channel of its own, or make them one with several operations in "on".',
    );
  });

  it('(one channel on a parent and its child in one table, or on an entity and in the list) is refused', async () => {
    @Entity()
    @TableInheritance({ column: { type: 'text', name: 'kind' } })
    @NotifyChanges()
    class Content {
      @PrimaryGeneratedColumn() id!: number;
    }
    @ChildEntity()
    @NotifyChanges()
    class Photo extends Content {}
    const inherited = await connect([Content, Photo]);
    expect(await errorOf(() => generate(inherited))).toMatch(/^INVALID_TRIGGER: expected one declaration/);
    const listed = await connect([author({})], { triggers: [{ table: 'author' }] });
    expect(await errorOf(() => generate(listed))).toMatch(/^INVALID_TRIGGER: expected one declaration/);
  });

  it('(a view) is refused', async () => {
    @ViewEntity({ expression: 'select 1 as id' })
    @NotifyChanges()
    class Authors {
      id!: number;
    }
    const source = await connect([Authors]);
    expect(await errorOf(() => generate(source))).toBe(
      'INVALID_TRIGGER: @NotifyChanges() on Authors: expected a table, got a view: triggers of views see no changes. ' +
        'Declare it on the tables beneath. Correct the declaration.',
    );
  });

  it('(a DataSource of another database) is refused', async () => {
    const options = { type: 'mysql', driver: {} } as unknown as DataSourceOptions;
    expect(await errorOf(() => withPgPubSub(new DataSource(options)))).toBe(
      'DATA_SOURCE_UNUSABLE: withPgPubSub(): expected a DataSource of type "postgres", got "mysql". ' +
        'Leave it as it is: only PostgreSQL notifies.',
    );
  });

  it.each(LEVELS)('(a condition that fits nothing, at level "%s") fails when it is applied', async (level) => {
    const expectRefused = async (when: string, reason: string | RegExp) => {
      const source = await connect([author({ when, level })]);
      const { up } = await generate(source);
      await expect(run(source, up)).rejects.toThrow(reason);
      await expect(source.synchronize()).rejects.toThrow(reason);
      expect(await objects()).toEqual({ triggers: [], functions: [] });
      await source.destroy();
    };
    await expectRefused('NEW.active and', /syntax error/);
    await expectRefused('NEW.active -- always', /mismatched parentheses/);
    await expectRefused('NEW.active; drop table author', /mismatched parentheses|syntax error/);
    await expectRefused('NEW.nope', 'column new.nope does not exist');
    await expectRefused('nope', 'column "nope" does not exist');
    await expectRefused('active', /ambiguous|does not exist/);
    await expectRefused('NEW.name', /boolean/);
    await expectRefused('missing(NEW.id)', /function missing/);
    await expectRefused(`NEW.id > 'many'`, /invalid input syntax/);
    await expectRefused('count(NEW.id) > 1', /aggregate/);
  }); // prettier-ignore

  it('(a table or an entity in the list that does not exist) is refused', async () => {
    const unknownEntity = await connect([], { triggers: [{ entity: 'Nobody' }] });
    expect(await errorOf(() => generate(unknownEntity))).toContain('Nobody');
    const unknownTable = await connect([], { triggers: [{ table: 'nobody' }] });
    await expect(run(unknownTable, (await generate(unknownTable)).up)).rejects.toThrow('"public.nobody"');
  });
});
