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
  CREATED_WITH_CONDITION,
  DROPPED,
  REPLACED,
  author,
  errorOf,
  generate,
  run,
  verbs,
  useMigrations,
} from '../../support/migrations.js';

const { connect, databaseName, migrate, migrateTo, objects, query, sentBy, snapshot } = useMigrations();

describe('the first migration', () => {
  it('creates tables and three triggers, and the second finds nothing', async () => {
    const migration = await migrateTo([author({}, { channel: 'z', on: 'truncate' })]);
    expect(verbs(migration.up)).toEqual(['create table', ...CREATED, 'create trigger']);
    expect(verbs(migration.down)).toEqual(['drop trigger', ...DROPPED, 'drop table']);
    expect(await objects()).toEqual({
      triggers: ['author_delete', 'author_insert', 'author_update', 'z_truncate'].map(
        (name) => `public.author: _pgpubsub_${name}`,
      ),
      functions: [],
    });
    expect(migration.up.filter((statement) => statement.includes('_pgpubsub_author'))).toEqual([
      `create trigger "_pgpubsub_author_insert" after insert on "public"."author"
  for each row execute function "public"."pgpubsub_broadcast"('public.migrations', 'author', 'public', 'author', 'id')`,
      `create trigger "_pgpubsub_author_update" after update on "public"."author"
  for each row when (old.* operator(pg_catalog.*<>) new.*) execute function "public"."pgpubsub_broadcast"('public.migrations', 'author', 'public', 'author', 'id')`,
      `create trigger "_pgpubsub_author_delete" after delete on "public"."author"
  for each row execute function "public"."pgpubsub_broadcast"('public.migrations', 'author', 'public', 'author', 'id')`,
    ]);
  });

  it('has a function of at most 15 lines when columns are left out', async () => {
    const { up } = await migrateTo([author({ columns: ['id', 'name'] })]);
    expect(verbs(up)).toEqual(['create table', ...REPLACED, ...CREATED]);
    const created = up.find((statement) => statement.startsWith('create or replace function')) ?? '';
    expect(created.split('\n').length).toBeLessThanOrEqual(15);
  });

  it('has a function for a condition with a subquery', async () => {
    const { up } = await migrateTo([author({ when: '(select count(*) from pg_class) > NEW.id' })]);
    expect(verbs(up)).toEqual(['create table', ...REPLACED, ...CREATED_WITH_CONDITION]);
    const sent = await sentBy('author', () => query('insert into author default values'));
    expect(sent.length).toBe(1);
  });

  it('contains no placeholders: every client can run it', async () => {
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
  const NAMES = { columns: ['id', 'name'] };
  it.each<[string, NotifyChangesOptions, NotifyChangesOptions, string[]]>([
    ['columns', ROW, NAMES, [...DROPPED, ...REPLACED, ...CREATED]],
    ['changed columns', NAMES, { columns: ['id'] }, REPLACED],
    ['removed columns', NAMES, ROW, [...DROPPED, 'drop function', ...CREATED]],
    ['of', ROW, { of: ['name'] }, ['drop trigger', 'create trigger', 'comment on trigger']],
    ['when', ROW, { when: `NEW.name <> 'it''s'` }, [...DROPPED, ...CREATED_WITH_CONDITION]],
    ['changed when', { when: 'NEW.active' }, { when: 'OLD.active' }, [...DROPPED, ...CREATED_WITH_CONDITION]],
    ['removed when', { when: 'NEW.active' }, ROW, [...DROPPED, ...CREATED]],
    ['when with a subquery', ROW, { when: 'exists (select where NEW.active)' }, [...DROPPED, ...REPLACED, ...CREATED_WITH_CONDITION]],
    ['changed subquery', { when: 'exists (select where NEW.active)' }, { when: 'exists (select where OLD.active)' }, REPLACED],
    ['on', ROW, { on: ['insert'] }, ['drop trigger', 'drop trigger']],
    ['on with truncate', ROW, { on: ['insert', 'update', 'delete', 'truncate'] }, ['create trigger']],
    ['level', ROW, STATEMENT, [...DROPPED, ...CREATED]],
    ['level row', STATEMENT, ROW, [...DROPPED, ...CREATED]],
    ['channel', ROW, { channel: 'writers' }, [...DROPPED, ...CREATED]],
    ['delivery', ROW, { delivery: 'exactly-once' }, [...DROPPED, ...CREATED]],
    ['order', { delivery: 'exactly-once' }, { delivery: 'exactly-once', ordered: true }, [...DROPPED, ...CREATED]],
    ['columns per statement', STATEMENT, { ...STATEMENT, columns: ['id'] }, [...DROPPED, ...REPLACED, ...CREATED]],
    ['of per statement', STATEMENT, { ...STATEMENT, of: ['bio'] }, ['drop trigger', ...REPLACED, 'do', 'create trigger']],
    ['when per statement', STATEMENT, { ...STATEMENT, when: 'NEW.active' }, [...DROPPED, ...REPLACED, ...CREATED.flatMap((verb) => ['do', verb])]],
  ])('replaces exactly its objects, and can be reverted (%s)', async (_, before, after, expected) => {
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

  it('does not affect other triggers of the table', async () => {
    await migrateTo([author({}, { channel: 'other' })]);
    const { up } = await migrateTo([author({ of: ['bio'] }, { channel: 'other' })]);
    expect(verbs(up)).toEqual(['drop trigger', 'create trigger', 'comment on trigger']);
    expect(up[0]).toContain('_pgpubsub_author_update');
  });

  it('finds no change in another order, or with explicit defaults', async () => {
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
    expect(verbs(up)).toEqual([...DROPPED, 'drop trigger', 'drop trigger']);
    expect(await objects()).toEqual({ triggers: [], functions: [] });
  });
});

describe('handwritten migrations', () => {
  const literals: [string, NotifyChangesOptions, Omit<NotifyTriggerLiterals, 'table'>][] = [
    ['only the table', {}, {}],
    ['a channel and operations', { channel: 'a', on: ['update', 'insert'] }, { channel: 'a', on: ['insert', 'update'] }],
    ['columns', { columns: ['name'] }, { columns: ['name'] }],
    ['of and when', { of: ['name', 'bio'], when: `NEW.name <> 'it''s'` }, { of: ['name', 'bio'], when: `NEW.name <> 'it''s'` }],
    ['every operation per statement', { level: 'statement', on: ['insert', 'update', 'delete', 'truncate'] }, { level: 'statement', on: ['insert', 'update', 'delete', 'truncate'] }],
    ['of and when per statement', { level: 'statement', of: ['name'], when: 'NEW.active' }, { level: 'statement', of: ['name'], when: 'NEW.active' }],
  ]; // prettier-ignore

  it.each(literals)('create the same objects as the declaration (%s)', async (_, declaration, given) => {
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

  it('take the schema, the excluded columns and the owner as literals', async () => {
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

  it('use the owner of their DataSource', async () => {
    const source = await connect([author({})], { owner: 'press' });
    await run(source, (await generate(source)).up.slice(0, 1));
    const runner = source.createQueryRunner();
    await createNotifyTrigger(runner, { table: 'author', primaryKey: ['id'] });
    await runner.release();
    expect(await generate(source)).toEqual(NOTHING);
  });

  it('reject an invalid condition and an invalid channel', async () => {
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
