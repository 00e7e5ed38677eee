import { Column, Entity, PrimaryGeneratedColumn } from 'typeorm';
import { describe, expect, it } from 'vitest';
import { NotifyChanges } from 'nestjs-pgpubsub';
import {
  NOTHING,
  CREATED,
  DROPPED,
  REPLACED,
  author,
  errorOf,
  generate,
  isGenerated,
  verbs,
  useMigrations,
} from '../../support/migrations.js';
import type { GivenDataSource } from '../../support/database.js';

const { connect, migrateTo, objects, query, sentBy, snapshot } = useMigrations();

describe('two DataSources on one database', () => {
  @Entity()
  @NotifyChanges()
  class Book {
    @PrimaryGeneratedColumn() id!: number;
    @Column('text') title!: string;
  }

  it.each<[string, GivenDataSource, GivenDataSource]>([
    ['owners', { owner: 'writers' }, { owner: "readers' own" }],
    ['migrations tables', {}, { dataSource: { migrationsTableName: 'shop_migrations' } }],
  ])('do not change the triggers of each other when they have different %s', async (_, first, second) => {
    await migrateTo([author({})], first);
    const { up } = await migrateTo([Book], second);
    expect(verbs(up)).toEqual(['create table', ...CREATED]);
    const both = await snapshot();
    expect(await migrateTo([author({})], first)).toEqual(NOTHING);

    const { up: goes } = await migrateTo([author()], first);
    expect(verbs(goes)).toEqual(DROPPED);
    expect(await objects()).toEqual({
      triggers: ['delete', 'insert', 'update'].map((one) => `public.book: _pgpubsub_book_${one}`),
      functions: [],
    });
    await migrateTo([author({})], first);
    const source = await connect([Book], second);
    await source.synchronize();
    expect(await snapshot()).toEqual(both);
  });

  it('can watch the same table on different channels', async () => {
    await migrateTo([author({ channel: 'a' })], { owner: 'a' });
    const { up } = await migrateTo([author({ channel: 'b' })], { owner: 'b' });
    expect(verbs(up)).toEqual(CREATED);
    const sent = await sentBy('a', () => query('insert into author default values'));
    expect(sent.length).toBe(1);
    expect(verbs((await migrateTo([author()], { owner: 'b' })).up)).toEqual(DROPPED);
    expect(await migrateTo([author({ channel: 'a' })], { owner: 'a' })).toEqual(NOTHING);
  });

  it('share a trigger that both declare', async () => {
    await migrateTo([author({})], { owner: 'a' });
    expect(await migrateTo([author({})], { owner: 'b' })).toEqual(NOTHING);
    expect(await migrateTo([author()], { owner: 'b' })).toEqual(NOTHING);
    expect(await migrateTo([author({})], { owner: 'a' })).toEqual(NOTHING);
  });

  it('fail with the owner when they declare different triggers for one table and channel', async () => {
    await migrateTo([author({})], { owner: 'a' });
    const before = await snapshot();
    const source = await connect([author({ of: ['name'] })], { owner: 'b' });
    expect(await errorOf(() => generate(source))).toBe(
      'INVALID_TRIGGER: expected the trigger of the table "author" for the channel "author" to be as "b" declares it, ' +
        'got another one, which belongs to "a". Declare the same, or give it a channel of its own; ' +
        'when "a" was the name of this application, give withPgPubSub() the option "owner".',
    );
    expect(await errorOf(() => source.synchronize())).toMatch(/^INVALID_TRIGGER: /);
    expect(await snapshot()).toEqual(before);
  });
});

describe('an object that was changed by hand', () => {
  const on = ['insert', 'update', 'truncate'] as const;
  const declared = {
    /** Triggers of shared functions. */
    row: author({ on }),
    statement: author({ on, level: 'statement' }),
    /** Triggers of a generated function, with a condition. */
    some: author({ on, columns: ['id', 'name'], when: 'NEW.active' }),
  };
  const T = '_pgpubsub_author_update';
  const CALL =
    "for each row when (old.* *<> new.*) execute function pgpubsub_broadcast('public.migrations', 'author', 'public', 'author', 'id')";
  const AGAIN = 'drop trigger, create trigger';
  it.each<[string, string, string]>([
    ['that was dropped', '', 'create trigger'],
    ['that was disabled', `create trigger T after update on author ${CALL}; alter table author disable trigger T`, 'alter table'],
    ['that fires on replicas only', `create trigger T after update on author ${CALL}; alter table author enable replica trigger T`, 'alter table'],
    ['for other operations', `create trigger T after insert on author ${CALL.replace('when (old.* *<> new.*)', '')}`, AGAIN],
    ['for each statement', `create trigger T after update on author ${CALL.replace('row when (old.* *<> new.*)', 'statement')}`, AGAIN],
    ['that runs before', `create trigger T before update on author ${CALL}`, AGAIN],
    ['without its condition', `create trigger T after update on author ${CALL.replace('when (old.* *<> new.*)', '')}`, AGAIN],
    ['with another condition', `create trigger T after update on author ${CALL.replace('old.* *<> new.*', 'new.id > 5')}`, AGAIN],
    ['of some columns', `create trigger T after update of name on author ${CALL}`, AGAIN],
    ['that is deferred', `create constraint trigger T after update on author deferrable initially deferred ${CALL}`, AGAIN],
    ['that sends to another channel', `create trigger T after update on author ${CALL.replace("'author'", "'writer'")}`, AGAIN],
    ['that sends another key', `create trigger T after update on author ${CALL.replace("'id'", "'name'")}`, AGAIN],
    ['of another function', `create function other() returns trigger language plpgsql as 'begin return null; end';
      create trigger T after update on author for each row execute function other()`, AGAIN],
    ['that was recreated differently, and disabled', `create trigger T after delete on author ${CALL.replace('when (old.* *<> new.*)', '')}; alter table author disable trigger T`, AGAIN],
  ])('is corrected by a migration that can be reverted: a trigger %s', async (_, drift, expected) => {
    await migrateTo([declared.row]);
    const good = await snapshot();
    await query(`drop trigger ${T} on author; ${drift.replaceAll(/\bT\b/g, T)}`);
    await expectCorrected(declared.row, good, expected);
  }); // prettier-ignore

  const REPLACED_FUNCTION = REPLACED.join(', ');
  it.each<[string, string, string]>([
    ['a function of another body', "create or replace function F() returns trigger language plpgsql as 'begin return null; end'", REPLACED_FUNCTION],
    ['a function with the rights of its owner', 'alter function F() security definer', REPLACED_FUNCTION],
    ['a function without its settings', 'alter function F() reset all', REPLACED_FUNCTION],
    ['a function with another search path', 'alter function F() set search_path = public', REPLACED_FUNCTION],
    ['a function with one more setting', "alter function F() set work_mem = '1MB'", REPLACED_FUNCTION],
    ['a function whose comment was removed', 'comment on function F() is null', REPLACED_FUNCTION],
    ['a function that was dropped with its triggers', 'drop function F() cascade', `${REPLACED_FUNCTION}, create trigger, comment on trigger, create trigger, comment on trigger`],
    ['a copy of a trigger under another name', "create trigger copy after insert on author for each row execute function F('public.migrations')", 'drop trigger'],
    ['a trigger whose declared condition is gone from its comment', 'comment on trigger T on author is null', 'drop trigger, create trigger, comment on trigger'],
  ])('is corrected by a migration that can be reverted: %s', async (_, drift, expected) => {
    await migrateTo([declared.some]);
    const good = await snapshot();
    const name = good.functions.find(isGenerated)?.['proname'] ?? '';
    await query(drift.replaceAll(/\bF\b/g, name).replaceAll(/\bT\b/g, T));
    await expectCorrected(declared.some, good, expected);
  }); // prettier-ignore

  async function expectCorrected(
    entity: ReturnType<typeof author>,
    good: Awaited<ReturnType<typeof snapshot>>,
    expected: string,
  ): Promise<void> {
    expect(await snapshot()).not.toEqual(good);
    const { up } = await migrateTo([entity]);
    expect(verbs(up).join(', ')).toBe(expected);
    const left = (await snapshot()).functions.length - good.functions.length; // a function that was created by hand stays
    expect(await snapshot()).toMatchObject({
      ...good,
      ...(left > 0 && { functions: expect.anything() as never }),
    });
  }

  it.each([
    ['without transition tables', 'after update on author for each statement'],
    ['with other transition tables', 'after update on author referencing old table as a new table as b for each statement'],
    ['for each row', 'after update on author for each row'],
  ])('is corrected by a migration that can be reverted: a statement trigger %s', async (_, definition) => {
    await migrateTo([declared.statement]);
    const good = await snapshot();
    const call = CALL.slice(CALL.indexOf('execute'));
    await query(`drop trigger ${T} on author; create trigger ${T} ${definition} ${call}`);
    await expectCorrected(declared.statement, good, AGAIN);
  }); // prettier-ignore

  it('is dropped with its declaration, and created again when the migration is reverted', async () => {
    await migrateTo([declared.some]);
    const name = (await snapshot()).functions.find(isGenerated)?.['proname'] ?? '';
    await query(`comment on trigger ${T} on author is 'mine'; alter table author disable trigger ${T}`);
    await query(`create trigger copy after insert on author for each row execute function ${name}('public.migrations')`);
    await query('alter table author enable always trigger _pgpubsub_author_truncate');
    await migrateTo([author()]);
    expect(await objects()).toEqual({ triggers: [], functions: [] });
  }); // prettier-ignore

  it('keeps its setting to fire always, and comments of others', async () => {
    await migrateTo([declared.row]);
    await query(`alter table author enable always trigger ${T}; comment on trigger ${T} on author is 'mine'`);
    expect(await migrateTo([declared.row])).toEqual(NOTHING);
  });

  it('is not touched when it does not belong to the library, with any name', async () => {
    await migrateTo([declared.row]);
    await query(`
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
