import { Column, Entity, PrimaryGeneratedColumn } from 'typeorm';
import { describe, expect, it } from 'vitest';
import { NotifyChanges } from 'nestjs-pgpubsub';
import {
  NOTHING,
  CREATED,
  REPLACED,
  author,
  errorOf,
  generate,
  verbs,
  type Given,
  useMigrations,
} from '../support/migrations.js';

const { connect, migrateTo, objects, query, sentBy, snapshot } = useMigrations();

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
    const sent = await sentBy('a', () => query('insert into author default values'));
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
    await query(drift.replaceAll('MINE', MINE).replaceAll(/\bT\b|\bF\b/g, name ?? ''));
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
    await query(drift);
    const { up } = await migrateTo([declared.statement]);
    expect(verbs(up)).toEqual(['drop trigger', 'create trigger', 'comment on trigger']);
    expect(await snapshot()).toEqual(good);
  }); // prettier-ignore

  it('is dropped with the declaration, and comes back as it was', async () => {
    await migrateTo([declared.row]);
    const [name] = (await snapshot()).functions.map(({ proname }) => String(proname));
    await query(`comment on trigger ${name} on author is null; alter table author disable trigger ${name}`);
    await query(`create trigger copy after insert on author for each row execute function ${name}()`);
    await query(`alter table author enable always trigger ${name}_truncate`);
    await migrateTo([author()]);
    expect(await objects()).toEqual({ triggers: [], functions: [] });
  }); // prettier-ignore

  it('keeps a trigger that was told to fire always', async () => {
    await migrateTo([declared.row]);
    const [name] = (await snapshot()).functions.map(({ proname }) => String(proname));
    await query(`alter table author enable always trigger ${name}`);
    expect(await migrateTo([declared.row])).toEqual(NOTHING);
  });

  it('does not touch functions and triggers of others, whatever they are called', async () => {
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
