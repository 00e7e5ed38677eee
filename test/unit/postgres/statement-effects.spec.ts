import { describe, expect, it } from 'vitest';
import { effectsOf, NO_EFFECTS, type StatementEffects } from '../../../lib/postgres/statement-effects.js';

const rejectedIn = (text: string): string | undefined => effectsOf(text).refusal?.statement;

/** The names of the flags that are set. */
const flagsOf = (text: string): readonly string[] =>
  Object.entries(effectsOf(text)).flatMap(([flag, value]) => (value === true ? [flag] : []));

const REJECTED: readonly (readonly [text: string, statement: string])[] = [
  ['begin', 'BEGIN'],
  ['begin work isolation level serializable', 'BEGIN'],
  ['start transaction read only', 'START TRANSACTION'],
  ['commit', 'COMMIT'],
  ['commit and chain', 'COMMIT'],
  [`commit prepared 'x'`, 'COMMIT PREPARED'],
  ['end', 'END'],
  ['end transaction', 'END'],
  ['abort', 'ABORT'],
  ['rollback', 'ROLLBACK'],
  ['rollback work', 'ROLLBACK'],
  ['rollback transaction and chain', 'ROLLBACK'],
  [`rollback prepared 'x'`, 'ROLLBACK PREPARED'],
  [`prepare transaction 'x'`, 'PREPARE TRANSACTION'],
  ['savepoint pgpubsub_handler', 'SAVEPOINT pgpubsub_handler'],
  ['release pgpubsub_handler', 'RELEASE SAVEPOINT pgpubsub_handler'],
  ['release savepoint pgpubsub_handler', 'RELEASE SAVEPOINT pgpubsub_handler'],
  ['rollback to pgpubsub_handler', 'ROLLBACK TO SAVEPOINT pgpubsub_handler'],
  ['rollback work to savepoint pgpubsub_x', 'ROLLBACK TO SAVEPOINT pgpubsub_x'],
  ['rollback transaction to pgpubsub_x', 'ROLLBACK TO SAVEPOINT pgpubsub_x'],
  ['set transaction isolation level serializable', 'SET TRANSACTION'],
  ['set local transaction read only', 'SET TRANSACTION'],
  ['set session transaction read only', 'SET TRANSACTION'],
  [`set transaction snapshot 'x'`, 'SET TRANSACTION'],
  ['set session characteristics as transaction read only', 'SET SESSION CHARACTERISTICS'],
  ['set transaction_isolation = serializable', 'SET transaction_isolation'],
  ['set local transaction_read_only to on', 'SET transaction_read_only'],
  ['set session transaction_deferrable = on', 'SET transaction_deferrable'],
  ['set default_transaction_isolation = serializable', 'SET default_transaction_isolation'],
  ['set local default_transaction_read_only = on', 'SET default_transaction_read_only'],
  ['reset transaction_isolation', 'RESET transaction_isolation'],
  ['reset transaction isolation level', 'RESET TRANSACTION'],
  ['reset default_transaction_deferrable', 'RESET default_transaction_deferrable'],
  ['listen orders', 'LISTEN'],
  ['unlisten *', 'UNLISTEN'],
  ['prepare find as select 1', 'PREPARE'],
  ['prepare find (int) as select $1', 'PREPARE'],
  ['deallocate find', 'DEALLOCATE'],
  ['deallocate all', 'DEALLOCATE'],
  ['discard all', 'DISCARD ALL'],
];

const upper = (text: string): string => text.toUpperCase();
const mixed = (text: string): string =>
  text.replaceAll(/\w+/g, (word) => word.charAt(0).toUpperCase() + word.slice(1));

describe('effectsOf() on statements that a handler may not send', () => {
  it.each(REJECTED)('rejects %j as %s', (text, statement) => {
    expect(rejectedIn(text)).toBe(statement);
  });

  it.each(REJECTED)('rejects %j in every case and at every position of a text', (text, statement) => {
    for (const written of [
      upper(text),
      mixed(text),
      ` \t\r\n\f\v${text}`,
      `${text};`,
      `/* a /* nested */ one */${text}`,
      `-- a line\n${text}`,
      `-- a line\r${text}`,
      text.replace(' ', '/**/'),
      text.replace(' ', ' -- commit\n'),
      `select 1; ${text}`,
      `;; ;${text}; select 1`,
      `select 'a;b', "c;d", $$e;f$$ /* ; */; ${text}`,
    ])
      expect(rejectedIn(written), written).toBe(statement);
  });

  it.each(REJECTED)('accepts %j within constants, identifiers and comments', (text) => {
    const inside = text.replaceAll(`'`, '');
    for (const written of [
      `select '; ${inside};'`,
      `select '''; ${inside}'`,
      `select E'\\'; ${inside}; '`,
      `select e'a' -- more\n  '\\'; ${inside}; '`,
      `select U&'; ${inside}; '`,
      `select N'; ${inside}; '`,
      `select ''';' "; ${inside}; """`,
      `select $$; ${inside}; $$`,
      `select $a$ $$; ${inside}; $b$ $a$`,
      `select $ä_1$; ${inside}; $ä_1$`,
      `select 1 -- ; ${inside};`,
      `select 1 /* ; ${inside}; /* */; ${inside}; */`,
      `explain analyze select '; ${inside}'`,
      `do $$ begin ${inside}; end $$`,
    ])
      expect(effectsOf(written).refusal, written).toBeUndefined();
  });

  it('names the first rejected statement of a text', () => {
    expect(rejectedIn('listen orders; commit')).toBe('LISTEN');
    expect(rejectedIn('select pg_advisory_lock(1); commit')).toBe('pg_advisory_lock()');
  });

  it.each([...REJECTED.map(([text]) => text), 'select pg_advisory_lock(1)'])(
    'gives a remedy for %j in one or two sentences',
    (text) => {
      expect(effectsOf(text).refusal?.remedy).toMatch(/^[A-Z][^.]*(?:\.observe\(\))?\.(?: [A-Z][^.]*\.)?$/);
    },
  );

  it('names the ways to end a handler instead of its transaction', () => {
    expect(effectsOf('commit').refusal?.remedy).toBe(
      'Return to have its writes committed, throw to have them undone.',
    );
  });

  it.each([
    'commits',
    'commit_all()',
    'committed$',
    'commité',
    '"commit"',
    '\u00a0commit',
    '\ufeffcommit',
    'select 1 as commit',
    'select 1 end',
    'select case when true then 1 end',
    'table commit',
    'explain select 1',
    'lock table orders in share mode',
    'notify orders',
    'execute find(1)',
    'vacuum orders',
    'copy orders from stdin',
    `copy (select 1) to stdout with (format csv, quote '"')`,
    '(select 1) union (select 2);',
    'set constraints all deferred',
    'set transaction.name = 1',
    'discard temp',
    '',
    ';;',
    '\0',
  ])('accepts %j', (text) => {
    expect(effectsOf(text).refusal).toBeUndefined();
  });
});

describe('effectsOf() on savepoints', () => {
  it.each([
    'savepoint a',
    'release a',
    'release savepoint savepoint',
    'rollback to a',
    'rollback to savepoint a',
    'rollback work to a',
    'rollback transaction to savepoint typeorm_1',
    'savepoint "PGPUBSUB_handler"',
    'savepoint my_pgpubsub_x',
    'savepoint savepoint',
    'savepoint "say ""pgpubsub_"""',
  ])('accepts %s', (text) => {
    expect(effectsOf(text)).toEqual(NO_EFFECTS);
  });

  it.each([
    'savepoint PgPubSub_X',
    'savepoint "pgpubsub_x"',
    'savepoint/**/"pgpubsub_x"',
    String.raw`savepoint U&"\0070gpubsub_x"`,
    String.raw`savepoint u&"\+000070gpubsub_x"`,
    'release "pgpubsub_x"',
    'release savepoint"pgpubsub_x"',
    String.raw`rollback to U&"pgpubsub\005fx"`,
  ])('rejects the savepoint name of the library in %s', (text) => {
    expect(rejectedIn(text)).toMatch(/ pgpubsub_x$/);
  });

  it('rejects identifiers with their own escape character, which are not decoded', () => {
    expect(rejectedIn(`savepoint U&"!0070gpubsub_x" UESCAPE '!'`)).toBe('UESCAPE');
    expect(rejectedIn(`select U&"pg!005fadvisory_lock" /* */ uescape E'!' (1)`)).toBe('UESCAPE');
    expect(rejectedIn(`select U&'!0070' uescape '!'`)).toBeUndefined();
  });

  it('names the savepoint without its quotes', () => {
    expect(rejectedIn('savepoint "pgpubsub_say ""hi"" to"')).toBe('SAVEPOINT pgpubsub_say "hi" to');
  });

  it('keeps the name of a statement short', () => {
    expect(rejectedIn(`savepoint pgpubsub_${'x'.repeat(1000)}`)?.length).toBeLessThan(100);
  });
});

describe('effectsOf() on calls of functions', () => {
  it.each([
    'pg_advisory_lock',
    'pg_advisory_lock_shared',
    'pg_try_advisory_lock',
    'pg_try_advisory_lock_shared',
    'pg_advisory_unlock',
    'pg_advisory_unlock_shared',
    'pg_advisory_unlock_all',
  ])('rejects %s() in each notation', (name) => {
    for (const written of [
      `select ${name}(1)`,
      `SELECT ${name.toUpperCase()} (1, 2)`,
      `select ${name}/* */ -- a line\n(1)`,
      `select pg_catalog.${name}(1)`,
      `select "pg_catalog" . "${name}"(1)`,
      `select postgres.pg_catalog.${name}(1)`,
      String.raw`select U&"${name.replaceAll('_', String.raw`\005f`)}"(1)`,
      `insert into a select * from b where ${name}(1) is null`,
      `with x as (select ${name}(1)) select 1`,
      `/* one */ (select (${name}(1)))`,
      `explain analyze select ${name}(1)`,
    ])
      expect(rejectedIn(written), written).toBe(`${name}()`);
  });

  it.each([
    `select 'pg_advisory_lock(1)'`,
    'select $$pg_advisory_lock(1)$$',
    'select 1 -- pg_advisory_lock(1)',
    'select pg_advisory_lock from locks',
    'select pg_advisory_xact_lock(1), pg_try_advisory_xact_lock(2)',
    'select app.pg_advisory_lock(1)',
    'select "PG_ADVISORY_LOCK"(1)',
    'select my_pg_advisory_lock(1)',
  ])('accepts %s', (text) => {
    expect(effectsOf(text)).toEqual(NO_EFFECTS);
  });

  it.each([
    ['select pg_terminate_backend(pg_backend_pid())', 'pg_terminate_backend(pg_backend_pid())'],
    ['select PG_CANCEL_BACKEND ( pg_catalog.pg_backend_pid () )', 'pg_cancel_backend(pg_backend_pid())'],
    ['select "pg_terminate_backend"((pg_backend_pid()), 1000)', 'pg_terminate_backend(pg_backend_pid())'],
    ['select pg_cancel_backend((select pg_backend_pid()))', 'pg_cancel_backend(pg_backend_pid())'],
  ])('rejects a statement that stops its own backend: %s', (text, statement) => {
    expect(rejectedIn(text)).toBe(statement);
  });

  it.each([
    'select pg_backend_pid()',
    'select pg_terminate_backend(pid) from pg_stat_activity where pid <> pg_backend_pid()',
    'select pg_terminate_backend($1), pg_backend_pid()',
  ])('accepts %s', (text) => {
    expect(rejectedIn(text)).toBeUndefined();
  });
});

describe('effectsOf() on bodies of functions', () => {
  const body = (statements: string): string =>
    `create or replace function f(a int) returns int language sql begin atomic ${statements} end`;

  it.each([
    body('select 1;'),
    body('select case a when 1 then 2 end; select case when true then 1 else 2 end;'),
    body('select 1 as end; insert into x values (1); return 1;'),
    body(''),
    'CREATE PROCEDURE p() BEGIN ATOMIC insert into x values (1); END;',
    `create function f() returns int as 'begin; commit; end' language plpgsql`,
    'create function f() returns int as $$ begin commit; end $$ language plpgsql;',
    'create rule r as on insert to a do also (insert into b values (1); delete from c)',
  ])('accepts %s', (text) => {
    expect(effectsOf(`${text}; select 1`)).toEqual(NO_EFFECTS);
  });

  it.each([
    [`${body('select 1;')}; end`, 'END'],
    [`${body('select 1 as case;')}; commit`, 'COMMIT'],
    [`${body('select 1 case;')}; commit`, 'COMMIT'],
    [body('commit;'), 'COMMIT'],
    [body('select pg_advisory_lock(1);'), 'pg_advisory_lock()'],
    ['create function f(begin atomic) returns int language sql as $$select 1$$; end', 'END'],
    ['create table t as select begin atomic from x; end', 'END'],
    ['create function f() returns "begin" atomic; end', 'END'],
    ['select begin atomic; end', 'END'],
    ['create rule r as on insert to a do also (select 1; select 2); rollback', 'ROLLBACK'],
  ])('rejects a statement that ends the transaction behind or within a body: %s', (text, statement) => {
    expect(rejectedIn(text)).toBe(statement);
  });
});

describe('effectsOf() on constants', () => {
  it.each([
    String.raw`select '\'; commit; --'`, // the constant ends at the second quote
    String.raw`select '\'', '; commit; --'`, // the constant ends there if backslashes escape
    String.raw`select N'\'', '; commit; --'`,
    String.raw`select 'a\\'; commit`,
    String.raw`select '\''; commit; --'`,
  ])('reads %s with and without standard_conforming_strings', (text) => {
    expect(rejectedIn(text)).toBe('COMMIT');
  });

  it('returns the effects of both readings', () => {
    expect(flagsOf(String.raw`select '\'; declare c cursor for select '; set local a.b = ''`)).toEqual([
      'settings',
      'cursors',
    ]);
  });

  it.each([
    String.raw`insert into paths values ('C:\users\')`,
    String.raw`select '\d+', E'\'; commit', '\\'`,
    String.raw`select U&'\0041; commit'`,
    String.raw`select B'01', X'ff', N'\a'`,
    String.raw`select B'1\', '; commit'`,
    String.raw`select X'1\', '; commit'`,
  ])('accepts %s, which has no statement in either reading', (text) => {
    expect(effectsOf(text)).toEqual(NO_EFFECTS);
  });

  it.each([
    `select E'\\\\'; commit`,
    `select E'a'\n'\\''; commit`,
    `select E'a' 'b\\'; commit`,
    `select xe'\\'; commit --'`,
    `select U&'\\'; commit; --'`,
    `select B'1\\'; commit`,
    `select X'1' '; '; commit`,
    'select $1; commit',
    'select a$b$; commit; select $b$',
    'select 1 $a; commit',
    'select $a$ $A$ $a$; commit',
    'select $a$b$a$; commit',
    'select $$ $a$ $$; commit',
    'select $1$a$; $a$; commit',
    'select 1 /* /* */ */; commit',
    'select 1 */**/; commit',
    'select 1 +-- ;\n; commit',
    'select "a""; "; commit',
    'select U&"a""; "; commit',
    'commit\0 and the rest',
  ])('finds the commit in %j', (text) => {
    expect(rejectedIn(text)).toBe('COMMIT');
  });

  it.each([`select '; commit`, `select E'\\`, 'select "; commit', 'select $$; commit', 'select /* ; commit'])(
    'stops at the end of a text that is not closed: %j',
    (text) => {
      expect(rejectedIn(text)).toBeUndefined();
    },
  );

  it('stops at a NUL character, as the server does', () => {
    expect(effectsOf('insert into a values (1)\0; commit')).toEqual(NO_EFFECTS);
  });
});

describe('effectsOf() on settings', () => {
  it.each([
    'set local work_mem = 64',
    'SET LOCAL "search_path" TO app',
    'set /* */ local time zone 0',
    'set local role app',
    `select set_config('a.b', 'c', true)`,
    `select pg_catalog.set_config($1, $2, 'true')`,
    `select "set_config"('a.b', (select concat('c', ',', 'd')), TRUE )`,
    `select set_config('a.b', 'c', 't'), set_config('a.c', 'd', 'ON'), set_config('a.d', 'e', '1')`,
    `with x as (select set_config('a.b', 'c', true)) insert into y select * from x`,
  ])('has settings restored after %s', (text) => {
    expect(flagsOf(text)).toEqual(['settings']);
  });

  it.each([
    'set work_mem = 64',
    'select 1; Set Session work_mem to default',
    'set role app',
    'set session authorization app',
    `set time zone 'UTC'`,
    'set local.name = 1',
    'set session.name = 1',
    'reset work_mem',
    'reset all',
    'discard plans',
    'do $$ begin end $$',
    `call p(1)`,
    `select set_config('a.b', 'c', false)`,
    `select set_config('a.b', 'c', $1)`,
    `select set_config('a.b', 'c', not true)`,
    `select set_config('a.b', 'c', "true")`,
    `select set_config('a.b', set_config('a.c', 'd', false), true)`,
    `select set_config('a.b', set_config('a.c', 'd', true), false)`,
    `select set_config('a.b', 'c', (true))`,
    `select set_config('a.b', 'c', 'f')`,
    `select set_config(variadic x)`,
    `select set_config('a.b', 'c', true`,
    String.raw`select U&"set\005fconfig"('a.b', 'c', false)`,
    `update pg_settings set setting = 'off' where name = 'a'`,
  ])('keeps the connection out of the pool after %s', (text) => {
    expect(flagsOf(text)).toEqual(['settings', 'session']);
  });

  it('keeps the connection out of the pool after LOAD, which changes no setting', () => {
    expect(flagsOf(`load 'auto_explain'`)).toEqual(['session']);
  });

  it.each([
    'update a set b = 1',
    `select 'set_config(1)'`,
    'select set_config from a',
    'insert into a values (1) on conflict do nothing',
    'select * from pg_settings',
    'alter table a reset (fillfactor)',
    `create function f() returns int set work_mem = 64 return 1`,
  ])('finds no change of settings in %s', (text) => {
    expect(effectsOf(text)).toEqual(NO_EFFECTS);
  });

  it.each([
    `set "TRANSACTION_ISOLATION" = serializable`,
    String.raw`set U&"transaction\005fisolation" = serializable`,
    `select set_config('Transaction_Isolation', 'serializable', true)`,
  ])('rejects a change of the transaction by %s', (text) => {
    expect(rejectedIn(text)?.toLowerCase()).toMatch(/^(?:set|set_config).*transaction_isolation/);
  });

  it.each(['set constraints all deferred', 'SET Constraints a, "b" IMMEDIATE'])(
    'lets no other handler run after %s',
    (text) => {
      expect(flagsOf(text)).toEqual(['constraints']);
    },
  );
});

describe('effectsOf() on temporary objects and cursors', () => {
  it.each([
    'create temp table a (b int)',
    'CREATE TEMPORARY TABLE a AS SELECT 1',
    'create local temp table a (b int)',
    'create global temporary table a (b int)',
    'create or replace temp view a as select 1',
    'create temp sequence a',
    'create temporary recursive view a (b) as select 1',
    'create table pg_temp.a (b int)',
    'create table "pg_temp".a (b int)',
    'create table pg_temp_3.a (b int)',
    'create function pg_temp.f() returns int return 1',
    'select 1 as b into temp a',
    'select 1 as b INTO local temporary table a',
    'select 1 as b into pg_temp.a',
    'with x as (select 1 as b) select * into /* */ temp a from x',
    'explain analyze create temp table a as select 1',
    'explain (analyze, format json) create temporary table a as select 1',
    'select 1; create temp table a (b int); select 2',
  ])('finds a temporary object in %s', (text) => {
    expect(flagsOf(text)).toEqual(['temporary']);
  });

  it.each(['set local search_path = pg_temp, app', `select set_config('search_path', 'pg_temp', true)`])(
    'expects temporary objects after %s',
    (text) => {
      expect(flagsOf(text)).toEqual(['settings', 'temporary']);
    },
  );

  it.each([
    'create table temp (a int)',
    'create table a (temp int)',
    'insert into temp values (1)',
    'insert into pg_temp.a values (1)',
    'merge into temp using a on true when matched then delete',
    'select temp from a',
    `select 'create temp table a'`,
    'create unlogged table a (b int)',
  ])('finds no temporary object in %s', (text) => {
    expect(effectsOf(text)).toEqual(NO_EFFECTS);
  });

  it.each([
    'declare c cursor for select 1',
    'DECLARE "c" BINARY INSENSITIVE SCROLL CURSOR WITH HOLD FOR SELECT 1',
    'select 1; declare c no scroll cursor without hold for select 1',
  ])('finds a cursor in %s', (text) => {
    expect(flagsOf(text)).toEqual(['cursors']);
  });
});

describe('effectsOf() on any text', () => {
  it('collects the effects of all statements', () => {
    const text = `set local a.b = 1; create temp table t (); declare c cursor for select 1;
      set constraints all deferred; create table u (); set a.c = 2`;

    expect(effectsOf(text)).toEqual({
      refusal: undefined,
      settings: true,
      session: true,
      temporary: true,
      cursors: true,
      constraints: true,
    } satisfies StatementEffects);
  });

  it('returns one frozen object for plain queries and writes', () => {
    expect(Object.isFrozen(NO_EFFECTS)).toBe(true);
    expect(effectsOf('insert into a values ($1, $2) returning attempts;\n')).toBe(NO_EFFECTS);
    expect(effectsOf(`SELECT 'COMMIT' FROM a WHERE b = ANY($1)`)).toBe(NO_EFFECTS);
  });

  it.each([
    `'`,
    '"',
    `''`,
    `'\n`,
    '$',
    '$a',
    '$a$ ',
    '/',
    '/*',
    '*/',
    '-',
    '-- ',
    '--\n',
    '\\',
    `'\\`,
    `E'`,
    'U&"',
    '(',
    'set_config(',
    'a',
    'a.',
    ' ',
    ';',
    ' ;commit',
    '\0',
    `"'$/\\`,
  ])('reads a long text of repeated %j in linear time', (part) => {
    const parts = part.repeat(200_000 / part.length);
    for (const start of ['', 'select ', `select '`, 'select $b$', 'savepoint U&"'])
      expect(() => effectsOf(start + parts)).not.toThrow();
  });

  it('reads 5 MB of quotes, dollar signs, slashes and backslashes', { timeout: 20_000 }, () => {
    expect(() => effectsOf(`"'$/*\\`.repeat(5_000_000 / 6))).not.toThrow();
    expect(rejectedIn(`select ${`'' $$/$$ "" / `.repeat(5_000_000 / 14)}; commit`)).toBe('COMMIT');
  });
});
