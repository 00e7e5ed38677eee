import { type Notification, type PgPubSubOptions } from 'nestjs-pgpubsub';
import { describe, expect, it } from 'vitest';
import { Author, authorListeners, useAuthors } from '../../support/authors.js';
import { Mailbox } from '../../support/mailbox.js';

const { start } = useAuthors();

describe('the context', () => {
  it('set by withContext() reaches triggers and notify(), and ends with the transaction', async () => {
    const { provider, seen } = authorListeners();
    const others = new Mailbox<Notification>();
    await using app = await start({
      providers: [provider],
      dataSource: { entities: [Author], synchronize: true, poolSize: 1 },
    });
    app.pubsub.observe('others').subscribe(others.push);
    await app.pubsub.withContext({ tenant: 'a' }, async (manager) => {
      await manager.insert(Author, { name: '1' });
      await app.pubsub.withContext({ user: 7 }, () => manager.insert(Author, { name: '2' }), { manager });
      await app.pubsub.notify('others', 1, { manager });
      await app.pubsub.notify('others', 2, { manager, context: { tenant: 'b' } });
    });
    await app.dataSource.getRepository(Author).insert({ name: '3' });
    await app.pubsub.notify('others', 3);

    expect((await seen.take(3)).map(([, { new: author }, { context }]) => [author?.name, context])).toEqual([
      ['1', { tenant: 'a' }],
      ['2', { tenant: 'a', user: 7 }],
      ['3', {}],
    ]);
    expect((await others.take(3)).map(({ context }) => context)).toEqual([
      { tenant: 'a' },
      { tenant: 'b' },
      {},
    ]);
  });

  it('set by the module is carried by every transaction', async () => {
    const { provider, seen } = authorListeners();
    const options: PgPubSubOptions = { context: () => ({ tenant: 'module' }) };
    await using app = await start({ providers: [provider], options });
    await app.dataSource.getRepository(Author).save({ name: '1' });
    await app.pubsub.withContext({ user: 1 }, (manager) => manager.insert(Author, { name: '2' }));
    expect((await seen.take(2)).map(([, , { context }]) => context)).toEqual([
      { tenant: 'module' },
      { tenant: 'module', user: 1 },
    ]);
  });

  describe('set by the module, in statements outside of transactions,', () => {
    const options: PgPubSubOptions = { context: () => ({ tenant: "it's \\ $1 \0 ü 😀" }) };
    const carried = options.context?.();
    const pooled = { entities: [Author], synchronize: true, poolSize: 1 };

    it('reaches triggers, and does not change results', async () => {
      const { provider, seen } = authorListeners();
      await using app = await start({ providers: [provider], options, dataSource: pooled });
      const { dataSource } = app;
      const authors = dataSource.getRepository(Author);
      const inserted = await authors.insert({ name: '1' });
      expect(inserted.identifiers).toEqual([{ id: '1' }]);
      expect(await authors.update({ id: '1' }, { name: '2' })).toMatchObject({ affected: 1, raw: [] });
      expect(await dataSource.query(`update author set full_name = '3' where id = 1 returning id`)).toEqual([
        [{ id: '1' }],
        1,
      ]);
      expect(await dataSource.query(`insert into author (full_name) values ('4') returning id`)).toEqual([
        { id: '2' },
      ]);
      expect(await authors.createQueryBuilder().delete().where({ id: '1' }).execute()).toMatchObject({
        affected: 1,
      });
      expect(await dataSource.query('with gone as (delete from author returning id) table gone')).toEqual([
        { id: '2' },
      ]);
      await dataSource.query('-- all of them\ntruncate author');
      const all = await seen.take(7);
      expect(all.map(([, { operation }]) => operation).toSorted()).toEqual(
        'delete delete insert insert truncate update update'.split(' '), // listeners do not wait for each other
      );
      expect(all.map(([, , { context }]) => context)).toEqual(all.map(() => carried));
    });

    it('never stays on the connection for its next user', async () => {
      const { provider, seen } = authorListeners();
      let context: object = { tenant: 'a' };
      await using app = await start({
        providers: [provider],
        options: { context: () => context },
        dataSource: pooled,
      });
      const { dataSource } = app;
      const authors = dataSource.getRepository(Author);
      const left = async () => {
        const sql = `select current_setting('pgpubsub.context', true) as left, pg_backend_pid() as pid`;
        return (await dataSource.query<[{ left: string | null; pid: number }]>(sql))[0];
      };
      const { pid } = await left();
      await authors.insert({ name: 'parameters' });
      expect(await left()).toEqual({ left: '', pid });
      await dataSource.query(`insert into author (full_name) values ('none')`);
      expect(await left()).toEqual({ left: '', pid });
      await expect(authors.insert({ id: 'no number', name: 'failing' })).rejects.toThrow(/no number/);
      await expect(dataSource.query('insert into author default values')).rejects.toThrow(/null value/);
      expect(await left()).toEqual({ left: '', pid });
      await dataSource.transaction((manager) => manager.insert(Author, { name: 'transaction' }));
      await app.pubsub.withContext({ user: 1 }, (manager) => manager.insert(Author, { name: 'with' }));
      expect(await left()).toEqual({ left: '', pid });
      context = {};
      await authors.insert({ name: 'the next' });
      expect((await seen.take(5)).map(([, , notification]) => notification.context)).toEqual([
        { tenant: 'a' },
        { tenant: 'a' },
        { tenant: 'a' },
        { tenant: 'a', user: 1 },
        {},
      ]);
    });

    it('keeps the errors of statements and their positions', async () => {
      await using app = await start({ options, dataSource: pooled });
      const errorOf = async (sql: string, parameters?: unknown[]) => {
        const { driverError } = (await app.dataSource
          .query(sql, parameters)
          .catch((error: unknown) => error)) as { driverError: { code: string; position: string } };
        return [driverError.code, driverError.position];
      };
      expect(await errorOf('insert into nowhere values (1)')).toEqual(['42P01', '13']);
      expect(await errorOf('insert into nowhere values ($1)', [1])).toEqual(['42P01', '13']);
      const [row] = await app.dataSource.query<[{ idle: boolean }]>(
        'select now() = statement_timestamp() as idle',
      );
      expect(row.idle).toBe(true);
    });

    it('neither ends a transaction that SQL began nor overrides a context that SQL set', async () => {
      const { provider, seen } = authorListeners();
      await using app = await start({ providers: [provider], options, dataSource: pooled });
      const runner = app.dataSource.createQueryRunner();
      await runner.query('begin');
      await runner.query(`insert into author (full_name) values ('rolled back')`);
      await runner.query('rollback');
      await runner.query('begin');
      await runner.query(`set local pgpubsub.context = '{"tenant":"own"}'`);
      await runner.manager.insert(Author, { name: 'kept' });
      await runner.query('commit');
      await runner.release();
      const [, change, { context }] = await seen.next();
      expect([change.new?.name, context]).toEqual(['kept', { tenant: 'own' }]);
    });
  });

  it('is reset when the work fails in a transaction that continues', async () => {
    const { provider, seen } = authorListeners();
    await using app = await start({ providers: [provider] });
    await app.dataSource.transaction(async (manager) => {
      const failing = app.pubsub.withContext({ tenant: 'a' }, () => Promise.reject(new Error('no')), {
        manager,
      });
      await expect(failing).rejects.toThrow('no');
      await manager.insert(Author, { name: 'after' });
    });
    expect((await seen.next())[2].context).toEqual({});
    await expect(app.pubsub.withContext([] as never, () => Promise.resolve())).rejects.toMatchObject({
      code: 'INVALID_ARGUMENT',
    });
    const large = app.pubsub.withContext({ text: 'x'.repeat(5_000) }, () => Promise.resolve());
    await expect(large).rejects.toThrow(/fits into 4000 bytes of JSON, got one of 5011 bytes/);
    const outside = app.pubsub.withContext({}, () => Promise.resolve(), { manager: app.dataSource.manager });
    await expect(outside).rejects.toThrow(/with an open transaction, got one outside/);
    const misspelt = app.pubsub.withContext({}, () => Promise.resolve(), { manger: 1 } as never);
    await expect(misspelt).rejects.toThrow('expected no option but "manager"');
  });

  it("takes no snapshot, and an error of the module's function rejects before the transaction starts", async () => {
    let context: () => object = () => ({ tenant: 'a' });
    await using app = await start({
      options: { context: () => context() },
      dataSource: { entities: [Author], synchronize: true, poolSize: 1 },
    });
    await app.dataSource.transaction((manager) =>
      manager.query('set transaction isolation level serializable'),
    );
    await app.pubsub.withContext({ user: 1 }, (manager) =>
      manager.query('set transaction isolation level serializable'),
    );
    context = () => undefined as never;
    await app.dataSource.transaction((manager) => manager.insert(Author, { name: 'without' }));
    context = () => {
      throw new Error('no request');
    };
    await expect(app.dataSource.transaction((manager) => manager.query('select 1'))).rejects.toThrow(
      'no request',
    );
    context = () => ({});
    const [row] = await app.dataSource.query<[{ idle: boolean }]>(
      'select now() = statement_timestamp() as idle',
    );
    expect(row.idle).toBe(true); // the connection in the pool has no open transaction
  });

  it('withoutTriggers() can be nested, and ends with the outer call', async () => {
    const { provider, seen } = authorListeners();
    await using app = await start({ providers: [provider] });
    await app.pubsub.withoutTriggers(async (manager) => {
      await app.pubsub.withoutTriggers(() => manager.insert(Author, { name: 'inner' }), { manager });
      await manager.insert(Author, { name: 'outer' });
    });
    await app.dataSource.getRepository(Author).insert({ name: 'loud' });
    expect((await seen.next())[1].new?.name).toBe('loud');
  });

  it('withoutTriggers() silences only its own work', async () => {
    const { provider, seen } = authorListeners();
    await using app = await start({
      providers: [provider],
      dataSource: { entities: [Author], synchronize: true, poolSize: 1 },
    });
    await app.pubsub.withoutTriggers((manager) => manager.insert(Author, { name: 'silent' }));
    await app.dataSource.transaction(async (manager) => {
      await app.pubsub.withoutTriggers(() => manager.insert(Author, { name: 'silent, too' }), { manager });
      await manager.insert(Author, { name: 'loud' });
    });
    expect((await seen.next())[1].new?.name).toBe('loud');
    expect(seen.untaken).toEqual([]);
  });
});
