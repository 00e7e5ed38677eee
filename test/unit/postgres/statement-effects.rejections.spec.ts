import { describe, expect, it } from 'vitest';
import { effectsOf, NO_EFFECTS } from '../../../lib/postgres/statement-effects.js';
import { rejectedIn } from './statement-effects.fixtures.js';

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
