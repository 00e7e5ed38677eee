import { DataSource, type EntitySchema, type MixedList } from 'typeorm';
import { describe, expect, it } from 'vitest';
import { createNotifyTrigger } from '../../../lib/triggers/migration-helpers.js';
import { type WithPgPubSubOptions } from '../../../lib/triggers/database.js';
import { listen } from '../../support/sent.js';
import { useDatabase } from '../../support/use-database.js';

const database = useDatabase({ per: 'test' });

type Entities = MixedList<(abstract new () => unknown) | EntitySchema>;

const start = (entities: Entities, options?: WithPgPubSubOptions, more: object = {}): Promise<DataSource> =>
  database.connect({ dataSource: { entities: entities as never, synchronize: true, ...more }, ...options });

describe('createNotifyTrigger()', () => {
  it.each<[string, object, RegExp]>([
    [
      'an unknown option',
      { table: 'author', exlude: ['password'] },
      /known options for createNotifyTrigger\(\).*"exlude"/,
    ],
    [
      'an unknown column',
      { table: 'author', exclude: ['pasword'] },
      /columns of "author" \(id, password\), got "pasword"/,
    ],
    ['a missing table', {}, /option "table" of createNotifyTrigger\(\) to be given/],
    [
      'a table that does not exist',
      { table: 'public.author' },
      /a table that exists, got "public"."public.author"/,
    ],
    [
      'an unknown operation',
      { table: 'author', on: ['upsert'] },
      /operations \(insert, update, delete, truncate\), got "upsert"/,
    ],
  ])('rejects %s before anything is created', async (_, literals, message) => {
    const source = await start([]);
    await source.query('create table author (id int primary key, password text)');
    const runner = source.createQueryRunner();
    await expect(createNotifyTrigger(runner, literals as never)).rejects.toMatchObject({
      code: 'INVALID_TRIGGER',
    });
    await expect(createNotifyTrigger(runner, literals as never)).rejects.toThrow(message);
    await runner.release();
    expect(await source.query(`select proname from pg_proc where proname like 'pgpubsub%'`)).toEqual([]);
  });

  it('finds the primary key of the table', async () => {
    const source = await start([]);
    await source.query('create table pair (a int, note text, b int, primary key (b, a))');
    const runner = source.createQueryRunner();
    await createNotifyTrigger(runner, { table: 'pair' });
    await runner.release();
    const sent = await listen(database, 'pair');
    await source.query(`insert into pair values (1, repeat('x', 9000), 2)`);
    expect((await sent.end()).map(({ new: row, truncated }) => [row, truncated])).toEqual([
      [{ a: 1, b: 2 }, true],
    ]);
  });
});
