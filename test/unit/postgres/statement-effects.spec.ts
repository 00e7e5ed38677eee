import { describe, expect, it } from 'vitest';
import { effectsOf, NO_EFFECTS, type StatementEffects } from '../../../lib/postgres/statement-effects.js';
import { flagsOf, rejectedIn } from './statement-effects.fixtures.js';

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
