import { expect, it } from 'vitest';
import { isWrite } from '../../../lib/postgres/context.sql.js';

it.each([
  'INSERT INTO "author" DEFAULT VALUES',
  'update author set name = 1',
  '\n\t delete from author',
  'merge into author using b on true when matched then delete',
  "copy author from '/tmp/authors'",
  'truncate author',
  'with gone as (delete from author returning *) select * from gone',
  '-- why\n/* and * what */ --\ninsert into author default values',
  '(with a as (select 1) insert into author table a)',
])('isWrite() returns true for %j', (sql) => {
  expect(isWrite(sql)).toBe(true);
});

it.each([
  'select 1',
  'START TRANSACTION',
  'insertion',
  'vacuum author',
  'call update_authors()',
  '-- insert into author',
  '/* insert into author */',
  '"update"',
  '',
  ' '.repeat(100_000),
  '(-'.repeat(50_000),
])('isWrite() returns false for %.40j', (sql) => {
  expect(isWrite(sql)).toBe(false);
});
