import { Column, Entity, PrimaryGeneratedColumn } from 'typeorm';
import { describe, expect, it } from 'vitest';
import {
  NotifyChanges,
  createNotifyTrigger,
  dropNotifyTrigger,
  type NotifyChangesOptions,
  type NotifyTriggerLiterals,
} from 'nestjs-pgpubsub';
import {
  NOTHING,
  CREATED,
  REPLACED,
  author,
  errorOf,
  generate,
  run,
  verbs,
  useMigrations,
} from '../support/migrations.js';

const { connect, databaseName, migrate, migrateTo, objects, query, sentBy, snapshot } = useMigrations();

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
    for (const { query: text, parameters } of upQueries) {
      expect(parameters ?? []).toEqual([]);
      await query(text);
    }
    expect(await generate(source)).toEqual(NOTHING);
  });

  it('does not depend on the search path of the session', async () => {
    await migrateTo([author({})]);
    await query(`alter database ${databaseName()} set search_path = 'pg_catalog', 'public'`);
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
      await query(`insert into author (name) values ('a')`);
      await query(`insert into author (name, active) values ('b', false)`);
      await query(`update author set bio = 'x'`);
      await query(`update author set name = 'A' where name = 'a'`);
      await query(`delete from author`);
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
    await query('create schema "Press"');
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
    expect(await errorOf(() => create({ when: 'NEW.nope' }))).toBe(
      'INVALID_TRIGGER: createNotifyTrigger(): expected "when" to be a condition over OLD and NEW that fits the table "author", ' +
        'got: column new.nope does not exist. Correct the declaration.',
    );
    expect(await errorOf(() => create({ when: 'NEW.id >' }))).toContain('got: syntax error');
    expect(await errorOf(() => create({ channel: 'x'.repeat(64) }))).toMatch(/^INVALID_CHANNEL: .*63 bytes/);
    expect(await snapshot()).toEqual(before);
  });
});
