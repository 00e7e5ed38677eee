import { withPgPubSub, type EntityChange } from 'nestjs-pgpubsub';
import { DataSource, type DataSourceOptions } from 'typeorm';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { TestApp } from '../../support/app.js';
import { TestDatabase } from '../../support/database.js';
import { collector } from '../../support/listeners.js';
import { eventually } from '../../support/mailbox.js';
import { listen } from '../../support/sent.js';
import { NOTHING, generate, inTransaction, run, type Statements } from '../../support/storage.js';
import { useDatabase } from '../../support/use-database.js';
import type { Author, Invoice } from './table-changes.app.js';

const database = useDatabase();
let guide: typeof import('./table-changes.app.js');
let migration: Statements;

beforeAll(async () => {
  vi.stubEnv('DATABASE_URL', database.url);
  guide = await import('./table-changes.app.js'); // late, because the module reads the environment
  await guide.dataSource.initialize();
  migration = await generate(guide.dataSource);
  await run(guide.dataSource, migration.up);
  await guide.dataSource.destroy();
});
afterAll(() => void vi.unstubAllEnvs());

const start = (...providers: (new (...args: never[]) => unknown)[]): Promise<TestApp> =>
  database.start({ patch: () => guide.dataSource, providers });

describe('the tables of docs/table-changes.md', () => {
  it('have the triggers of migration:generate, which then finds no change', async () => {
    const onTables = migration.up.map((sql) => /^create trigger .* on "public"\."(\w+)"/is.exec(sql)?.[1]);
    expect(new Set(onTables)).toEqual(new Set([undefined, 'author', 'invoice']));
    await guide.dataSource.initialize();
    const left = await generate(guide.dataSource);
    await guide.dataSource.destroy();
    expect(left).toEqual(NOTHING);
  });

  it('notify listeners that use another DataSource, which is not wrapped', async () => {
    const { provider, received } = collector<EntityChange<Author>>(guide.Author);
    const { entities } = guide.dataSource.options;
    await using app = await database.start({
      dataSource: { entities: entities as never },
      providers: [provider],
    });
    expect(app.dataSource).not.toBe(guide.dataSource);
    await database.query(`insert into author (name, password) values ('Own', 'secret')`);
    expect((await received.next()).payload).toMatchObject({ operation: 'insert', new: { name: 'Own' } });
    await database.query('truncate author restart identity cascade');
  });

  it('notify listeners of changes by SQL, with rows equal to those of the repository', async () => {
    const { provider, received } = collector<EntityChange<Author>>(guide.Author);
    await using app = await start(guide.Authors, provider);
    const authors = app.dataSource.getRepository(guide.Author);
    const load = (name: string) => authors.findOneByOrFail({ name });
    const next = async () => (await received.next()).payload;

    await database.query(`insert into author (name, password) values ('Ada', 'secret')`);
    const ada = await load('Ada');
    expect(await next()).toMatchObject({ operation: 'insert', old: null, new: ada, changed: [] });
    await database.query(`update author set name = 'Eve'`);
    const eve = await load('Eve');
    expect(await next()).toMatchObject({ operation: 'update', old: ada, new: eve, changed: ['name'] });
    await database.query(`update author set active = false`);
    expect(await next()).toMatchObject({ changed: ['active'] });
    await database.query(`update author set name = 'Zoe'`); // not active any more
    expect(await next()).toMatchObject({ changed: ['name'] });
    const zoe = await load('Zoe');
    await database.query('delete from author');
    expect(await next()).toMatchObject({ operation: 'delete', old: zoe, new: null });

    await app.log.find(({ text }) => text === 'Eve is Zoe now');
    const told = app.log.all.map(({ text }) => text).filter((text) => /Ada|Eve|Zoe/.test(text));
    expect(told.toSorted()).toEqual([
      'Ada is Eve now',
      'Eve is Zoe now',
      'there is a name Ada',
      'there is a name Eve',
      'welcome, Ada',
    ]);
    expect(received.all.every(({ payload }) => payload.entity?.password === undefined)).toBe(true);
  });

  it('add the context of the transaction to their changes, and send none in a silenced transaction', async () => {
    const { provider, received } = collector<EntityChange<Author>>(guide.Author);
    await using app = await start(provider);
    await app.pubsub.withContext({ tenant: 'a' }, (manager) => manager.insert(guide.Author, { name: 'Ada' }));
    await app.pubsub.withoutTriggers((manager) => manager.insert(guide.Author, { name: 'Bob' }));
    await app.dataSource.manager.insert(guide.Author, { name: 'Cyd' });

    const seen = (await received.take(2)).map(({ payload, notification }) => [
      payload.new?.name,
      notification.context,
    ]);
    expect(seen).toEqual([
      ['Ada', { tenant: 'a' }],
      ['Cyd', {}],
    ]);
  });

  it('keep exactly-once changes until a listener starts', async () => {
    await database.query('insert into invoice (amount) values (42)');
    await expect(database.query('select key from pgpubsub_notification')).resolves.toEqual([{ key: '1' }]);
    const { provider, received } = collector<EntityChange<Invoice>>(guide.Invoice);
    await using app = await start(provider);

    expect((await received.next()).payload.new).toMatchObject({ id: 1, amount: 42 });
    await eventually(async () => (await app.pubsub.stored.count()) === 0, 'it is handled');
    expect(received.all).toHaveLength(1);
  });
});

describe('the migrations of docs/table-changes.md', () => {
  const connect = (url: string, options: Partial<DataSourceOptions> = {}) =>
    new DataSource({ type: 'postgres', url, ...options } as DataSourceOptions);

  it('written by hand, carry every column but the excluded ones, and can be reverted', async () => {
    await using empty = await TestDatabase.create();
    const source = await connect(empty.url).initialize();
    await source.query('create table author (id serial primary key, name text, password text)');
    const byHand = new guide.NotifyAuthors1800000000000();
    const sent = await listen(empty, 'author');

    await inTransaction(source, (runner) => byHand.up(runner));
    await source.query(`insert into author (name, password) values ('Ada', 'secret')`);
    await source.query(`update author set name = 'Eve'`);
    expect(await sent.end()).toMatchObject([{ operation: 'insert', new: { id: 1, name: 'Ada' } }]);
    await inTransaction(source, (runner) => byHand.down(runner));
    await source.query(`insert into author (name) values ('Bob')`);
    expect(await sent.end()).toEqual([]);
    await source.destroy();
  });

  it('written by hand, store what the entity declares', async () => {
    await using empty = await TestDatabase.create();
    const table = await connect(empty.url, { entities: [guide.Invoice], synchronize: true }).initialize();
    await table.destroy();
    const source = await withPgPubSub(connect(empty.url, { entities: [guide.Invoice] })).initialize();
    const before = await generate(source);
    const byHand = new guide.StoreInvoices1800000000001();

    await inTransaction(source, (runner) => byHand.up(runner));
    expect(await generate(source)).toEqual(NOTHING);
    await inTransaction(source, (runner) => byHand.down(runner));
    expect(await generate(source)).toEqual(before);
    await source.destroy();
  });
});
