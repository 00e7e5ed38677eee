import { describe, expect, it } from 'vitest';
import { NOTHING, author, generate, useMigrations } from '../../support/migrations.js';

const { connect, declare, migrate, objects, query, sentBy, snapshot } = useMigrations();

describe('synchronize()', () => {
  const declared = () => [author({}, { channel: 'bulk', level: 'statement', when: 'NEW.active' })];

  it('creates, changes and drops triggers, and does nothing the second time', async () => {
    await connect(declared(), { dataSource: { synchronize: true } });
    const first = await snapshot();
    expect(first.triggers.length).toBe(6);
    const again = await connect(declared(), { dataSource: { synchronize: true } });
    expect(await snapshot()).toEqual(first);
    expect(await generate(again)).toEqual(NOTHING);

    await connect([author({ on: 'insert' })], { dataSource: { synchronize: true } });
    expect(await objects()).toEqual({
      triggers: ['public.author: _pgpubsub_author_insert'],
      functions: [],
    });
  });

  it.each([
    ['with the pool of the driver', {}],
    ['with two connections each', { poolSize: 2 }],
    ['with one connection each', { poolSize: 1 }],
  ])('creates one schema when four processes run it in parallel (%s)', async (_, dataSource) => {
    const starting = Array.from({ length: 4 }, () =>
      connect(declared(), { dataSource: { synchronize: true, ...dataSource } }),
    );
    const started = await Promise.all(starting);
    expect((await snapshot()).triggers.length).toBe(6);
    for (const source of started) expect(await generate(source)).toEqual(NOTHING);
    const sent = await sentBy('author', () => query('insert into author default values'));
    expect(sent.length).toBe(1);
  });

  it.each([
    ['poolSize', { poolSize: 1 }],
    ['extra.max', { extra: { max: 1 } }],
  ])('works with a single connection, like migrations (%s)', async (_, dataSource) => {
    const source = await connect(declared(), { dataSource: { synchronize: true, ...dataSource } });
    expect((await snapshot()).triggers.length).toBe(6);
    await source.synchronize();
    expect(await generate(source)).toEqual(NOTHING);
  });

  it('leaves neither a lock nor a changed search path behind, even when it fails', async () => {
    const source = declare([author({ when: 'NEW.nope' })], { dataSource: { poolSize: 2 } });
    await source.initialize();
    await expect(source.synchronize()).rejects.toThrow('nope');
    const [locks] = await query(
      `select count(*)::int as n from pg_locks where locktype = 'advisory' and database = (select oid from pg_database where datname = current_database())`,
    );
    expect(locks).toEqual({ n: 0 });
    const runners = [source.createQueryRunner(), source.createQueryRunner()];
    for (const runner of runners)
      expect(await runner.query('show search_path')).toEqual([{ search_path: '"$user", public' }]);
    for (const runner of runners) await runner.release();
  });

  it('creates everything again after schema:drop, and with dropSchema', async () => {
    const source = await connect(declared(), { dataSource: { synchronize: true } });
    const whole = await snapshot();
    await source.dropDatabase();
    expect((await snapshot()).triggers).toEqual([]);
    await source.synchronize();
    expect(await snapshot()).toEqual(whole);
    await source.synchronize(true);
    expect(await snapshot()).toEqual(whole);
    await connect(declared(), { dataSource: { synchronize: true, dropSchema: true } });
    expect(await snapshot()).toEqual(whole);
  });

  it('drops functions that schema:drop has left when they are not declared any more', async () => {
    const source = await connect(declared(), { dataSource: { synchronize: true } });
    await source.dropDatabase();
    const after = await connect([author()]);
    await migrate(after);
    expect(await objects()).toEqual({ triggers: [], functions: [] });
  });
});
