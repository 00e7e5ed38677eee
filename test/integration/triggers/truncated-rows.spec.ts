import { Column, DataSource, Entity, PrimaryColumn, type Logger } from 'typeorm';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { TruncatedRows } from '../../../lib/triggers/truncated-rows.js';
import { useDatabase } from '../../support/use-database.js';

@Entity()
class Author {
  @PrimaryColumn('int') id!: number;
  @Column('text') name!: string;
}

const database = useDatabase({ per: 'test' });
let source: DataSource;
let rows: TruncatedRows;
let queries: number;

beforeEach(async () => {
  queries = 0;
  const count = () => void queries++;
  const logger = { logQuery: count, logQueryError() {}, logQuerySlow() {}, logSchemaBuild() {}, logMigration() {}, log() {} } satisfies Logger; // prettier-ignore
  source = new DataSource({ type: 'postgres', url: database.url, entities: [Author], synchronize: true, logger }); // prettier-ignore
  await source.initialize();
  await source.query(`insert into author select i, 'author ' || i from generate_series(1, 600) as i`);
  rows = new TruncatedRows(source);
  queries = 0;
});
afterEach(async () => {
  await source.destroy();
});

const load = (ids: readonly unknown[]) =>
  Promise.allSettled(ids.map((id) => rows.load(Author, new Map([['id', String(id)]]))));

const numbers = Array.from({ length: 600 }, (_, index) => index + 1);

it('load() reads all waiting keys with one query', async () => {
  const loaded = await load([...numbers, 601]);
  expect(loaded[599]).toEqual({ status: 'fulfilled', value: { id: 600, name: 'author 600' } });
  expect(loaded[600]).toEqual({ status: 'fulfilled', value: null });
  expect(queries).toBe(1);
});

it.each(['x', '1.5', '9999999999999', '1\0'])('load() rejects only the key that the server rejects: %j', async (key) => {
  const loaded = await load([...numbers.slice(0, 300), key, ...numbers.slice(300)]);
  expect(loaded[300]).toMatchObject({ status: 'rejected', reason: { code: expect.stringMatching(/^22/) as unknown } });
  for (const [at, one] of loaded.filter((_, index) => index !== 300).entries())
    expect(one).toEqual({ status: 'fulfilled', value: { id: at + 1, name: `author ${at + 1}` } });
  expect(queries).toBeLessThan(25); // the keys are halved, not sent one by one
}); // prettier-ignore

it('load() rejects only the key that a type rejects with a syntax error', async () => {
  await source.query('create extension ltree; alter table author alter id type ltree using id::text::ltree');
  const [found, refused] = await load(['7', '..']);
  expect(found).toMatchObject({ status: 'fulfilled', value: { name: 'author 7' } });
  expect(refused).toMatchObject({ status: 'rejected', reason: { code: '42601' } });
});

it('load() rejects every key of a query that fails for another reason, and sends no further query', async () => {
  await source.query('drop table author');
  queries = 0;
  const loaded = await load(numbers);
  for (const one of loaded) expect(one).toMatchObject({ status: 'rejected', reason: { code: '42P01' } });
  expect(queries).toBe(1);
});
