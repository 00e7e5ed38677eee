// @ts-check
import assert from 'node:assert/strict';

/** Checks members of TypeORM's driver. @param {import('./subject.js').Subject} subject */
export async function checkDriver(subject) {
  const driver = await subject.cell.load('postgres/driver.js');
  const { pg } = subject.cell;
  const { Author, Book, all } = subject.entities;

  await subject.check('driver.master.options.max: poolSizeOf returns the size of the pool', async () => {
    for (const [options, size] of /** @type {[object, number][]} */ ([
      [{ poolSize: 3 }, 3],
      [{ poolSize: undefined, extra: { max: 4 } }, 4],
      [{ poolSize: undefined }, 10],
    ]))
      await subject.withDataSource(options, async (dataSource) =>
        assert.equal(driver.poolSizeOf(dataSource), size),
      );
    assert.equal(driver.poolSizeOf(subject.createDataSource({})), 10);
  });

  await subject.check('driver.schema: defaultSchemaOf returns the default schema', async () => {
    assert.equal(driver.defaultSchemaOf(subject.createDataSource({})), 'public');
    assert.equal(driver.defaultSchemaOf(subject.createDataSource({ schema: 'mine' })), 'mine');
    await subject.withDataSource({}, async (dataSource) =>
      assert.equal(driver.defaultSchemaOf(dataSource), 'public'),
    );
    const extra = { options: '-c search_path=pg_catalog' };
    await subject.withDataSource({ extra }, async (dataSource) =>
      assert.equal(driver.defaultSchemaOf(dataSource), 'pg_catalog'),
    );
  });

  await subject.check(
    'driver.postgres.types, driver.options.extra.types: typeParsersOf returns the type parsers',
    async () => {
      assert.equal(driver.typeParsersOf(subject.createDataSource({})), pg.types);
      assert.equal(driver.typeParsersOf(subject.createDataSource({})).getTypeParser(23, 'text')('7'), 7);
      const types = { getTypeParser: () => String };
      await subject.withDataSource({ extra: { types } }, async (dataSource) => {
        assert.equal(driver.typeParsersOf(dataSource), types);
        assert.deepEqual(await dataSource.query('select 7 as n'), [{ n: '7' }]);
      });
    },
  );

  await subject.check('buildMetadatas: buildMetadata knows the entities without connecting', async () => {
    const dataSource = subject.createDataSource({ entities: all, url: 'postgres://127.0.0.1:1/none' });
    await driver.buildMetadata(dataSource);
    assert.equal(dataSource.getMetadata(Author).tableName, 'author');
    assert.equal(dataSource.getMetadata(Book).findRelationWithPropertyPath('author').isLazy, true);
    assert.equal(dataSource.isInitialized, false);
  });

  await subject.check('driver.createQueryRunner: createPlainRunner does not use the DataSource', () =>
    subject.withDataSource({}, async (dataSource) => {
      dataSource.createQueryRunner = () => assert.fail('expected a runner of the driver');
      const runner = driver.createPlainRunner(dataSource);
      assert.deepEqual(await runner.query('select 1 as one'), [{ one: 1 }]);
      await runner.release();
      delete dataSource.createQueryRunner;
    }),
  );

  await subject.check('releasePostgresConnection: destroyRunner ends the connection', () =>
    subject.withDataSource({}, async (dataSource) => {
      const runner = driver.createPlainRunner(dataSource);
      const { processID } = await runner.connect();
      await driver.destroyRunner(runner, new Error('given up'));
      await driver.destroyRunner(runner, new Error('given up'));
      await subject.sessionEnds(processID);
      assert.equal(dataSource.driver.connectedQueryRunners.length, 0);
      assert.equal(dataSource.driver.master.totalCount, 0);
    }),
  );

  await subject.check('createQueryRunner, dataSource.query: rejectQueries rejects all queries', async () => {
    const dataSource = subject.createDataSource({ entities: all });
    await driver.buildMetadata(dataSource);
    driver.rejectQueries(dataSource, () => new Error('no database'));
    for (const send of [
      () => dataSource.query('select 1'),
      () => dataSource.manager.query('select 1'),
      () => dataSource.getRepository(Author).find(),
      () => dataSource.manager.save(Author, { name: 'x' }),
      () => dataSource.transaction(() => Promise.resolve()),
    ])
      await assert.rejects(async () => send(), /no database/);
  });
}
