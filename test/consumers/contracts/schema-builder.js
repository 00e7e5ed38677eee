// @ts-check
import assert from 'node:assert/strict';

/** Checks TypeORM's schema builder. @param {import('./subject.js').Subject} subject */
export async function checkSchemaBuilder(subject) {
  const { extendSchemaBuilder, verbatim } = await subject.cell.load('postgres/schema-builder.js');
  const { EntitySchema } = subject.cell.typeorm;
  const shelf = new EntitySchema({
    name: 'Shelf',
    tableName: 'shelf',
    columns: { id: { type: 'int', primary: true, generated: true }, code: { type: 'text' } },
    indices: [{ columns: ['code'] }],
  });

  /** @param {string} name @param {(dataSource: any) => Promise<unknown>} act */
  const check = (name, act) =>
    subject.check(name, () =>
      subject.withDataSource({ poolSize: 1, entities: [shelf] }, async (dataSource) => {
        await act(dataSource);
        assert.equal(dataSource.driver.master.idleCount, 1);
        await subject.query('drop table if exists shelf');
      }),
    );
  const none = {
    log: () => assert.fail('expected no log()'),
    build: () => assert.fail('expected no build()'),
  };
  const tables = () => subject.query("select from pg_class where relname = 'shelf'");

  await check(
    'upQueries, downQueries: log() returns the statements of TypeORM and of the extension',
    async (dataSource) => {
      const log = async (/** @type {any} */ tablesOf) => {
        const { up, down } = await tablesOf();
        assert.match(up[0].query, /CREATE TABLE "shelf"/);
        assert.match(down.at(-1).query, /DROP /);
        return { up: [verbatim('select 1'), ...up], down: [...down, verbatim('select 2')] };
      };
      extendSchemaBuilder(dataSource, { ...none, log });
      const sql = await dataSource.driver.createSchemaBuilder().log();
      assert.equal(sql.upQueries[0].query, 'select 1');
      assert.match(sql.upQueries[1].query, /CREATE TABLE "shelf"/);
      assert.equal(sql.downQueries.at(-1).query, 'select 2');
      sql.upQueries[0].query = 'rewritten by --pretty';
      assert.equal(sql.upQueries[0].query, 'select 1');
      assert.deepEqual(await tables(), []);
    },
  );

  await check('builder.log: an extension can omit the statements of TypeORM', async (dataSource) => {
    extendSchemaBuilder(dataSource, { ...none, log: async () => ({ up: [verbatim('select 1')], down: [] }) });
    const sql = await dataSource.driver.createSchemaBuilder().log();
    assert.deepEqual(
      sql.upQueries.map((/** @type {any} */ { query }) => query),
      ['select 1'],
    );
    assert.deepEqual(sql.downQueries, []);
  });

  await check(
    'builder.build: synchronize() uses the runner of the extension, and does not release it',
    async (dataSource) => {
      const create = dataSource.createQueryRunner.bind(dataSource);
      let runners = 0;
      dataSource.createQueryRunner = (/** @type {any} */ mode) => {
        runners++;
        return create(mode);
      };
      const build = async (/** @type {any} */ buildTables) => {
        const runner = dataSource.createQueryRunner();
        await buildTables(runner);
        assert.equal(runner.isReleased, false);
        const [{ count }] = await runner.query('select count(*)::int as count from shelf');
        assert.equal(count, 0);
        await runner.release();
        assert.equal(runner.isReleased, true);
      };
      extendSchemaBuilder(dataSource, { ...none, build });
      await dataSource.synchronize();
      assert.equal(runners, 1);
      assert.equal((await tables()).length, 1);
    },
  );

  await check(
    'builder.build: a failure ends the transaction and does not release the runner',
    async (dataSource) => {
      await subject.query(
        "create function shelf() returns text language sql as $$ select '' $$; create view shelf as select 1 as id",
      );
      const build = async (/** @type {any} */ buildTables) => {
        const runner = dataSource.createQueryRunner();
        await assert.rejects(buildTables(runner));
        assert.equal(runner.isTransactionActive, false);
        await runner.query('select 1');
        await runner.release();
      };
      extendSchemaBuilder(dataSource, { ...none, build });
      await dataSource.synchronize();
      await subject.query('drop view shelf; drop function shelf()');
    },
  );

  await check('createSchemaBuilder: the builder is an instance of TypeORM’s class', async (dataSource) => {
    extendSchemaBuilder(dataSource, none);
    const builder = dataSource.driver.createSchemaBuilder();
    assert.equal(builder['@instanceof'], Symbol.for('RdbmsSchemaBuilder'));
    assert(Object.values(builder).includes(dataSource));
  });
}
