import { describe, expect, it } from 'vitest';
import { effectsOf, NO_EFFECTS } from '../../../lib/postgres/statement-effects.js';
import { flagsOf, rejectedIn } from './statement-effects.fixtures.js';

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
