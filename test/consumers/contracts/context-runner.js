// @ts-check
import assert from 'node:assert/strict';

const READ = "current_setting('pgpubsub.context', true)";
const INSERT = `insert into note (what) values (coalesce(nullif(${READ}, ''), 'none'))`;

/** Checks the context of transactions and statements. @param {import('./subject.js').Subject} subject */
export async function checkContext(subject) {
  const { installContext } = await subject.cell.load('postgres/context-runner.js');
  const { isPgClient } = await subject.cell.load('postgres/prefixed-query.js');
  const { Cursor, QueryStream, typeorm, pg } = subject.cell;
  const { entities } = subject;

  /**
   * Runs a check with a context, which must not be set afterwards.
   * @param {string} name @param {(dataSource: any, context: { value: unknown }) => Promise<unknown>} act
   * @param {string[]} [expected]
   */
  const check = (name, act, expected = []) =>
    subject.check(name, () =>
      subject.withDataSource({ poolSize: 1, entities: entities.all }, async (dataSource) => {
        await subject.query('truncate note');
        const context = { value: /** @type {unknown} */ ({ user: "o'1" }) };
        installContext(dataSource, () => context.value);
        await act(dataSource, context);
        const [{ left }] = await dataSource.query(`select coalesce(${READ}, '') as left`);
        assert.equal(left, '');
        assert.deepEqual(await subject.notes(), expected);
      }),
    );
  const set = `{"user":"o'1"}`;

  await check(
    'runner.startTransaction: the context is set in transactions, nested ones included',
    (dataSource) =>
      dataSource.transaction(async (/** @type {any} */ manager) => {
        await manager.query(INSERT);
        await manager.transaction((/** @type {any} */ nested) =>
          nested.query(`${INSERT} returning $1::int`, [1]),
        );
        const [{ read }] = await manager.query(`select ${READ} as read`);
        assert.equal(read, set);
      }),
    [set, set],
  );

  await check(
    'runner.startTransaction: an isolation level is kept, because the context takes no snapshot',
    (dataSource) =>
      dataSource.transaction('SERIALIZABLE', async (/** @type {any} */ manager) => {
        const [{ level }] = await manager.query("select current_setting('transaction_isolation') as level");
        assert.equal(level, 'serializable');
      }),
  );

  await check(
    'runner.connect: the context is sent with single statements that write',
    async (dataSource) => {
      await dataSource.query(INSERT);
      assert.deepEqual(await dataSource.query(`${INSERT} returning $1::int as n`, [7]), [{ n: 7 }]);
      await dataSource.query(`with w as (select 1) ${INSERT}`);
      const runner = dataSource.createQueryRunner();
      await runner.query(INSERT);
      await (await runner.connect()).query(INSERT);
      await runner.release();
    },
    [set, set, set, set, set],
  );

  await check(
    'databaseConnection.query: results, counts and errors are those of the statement',
    async (dataSource) => {
      assert.deepEqual(await dataSource.query('update note set what = $1', ['x']), [[], 0]);
      const failing = 'insert into note (what) values ($1), (nowhere)';
      await assert.rejects(dataSource.query(failing, ['x']), (/** @type {any} */ error) => {
        assert(error instanceof typeorm.QueryFailedError);
        assert.equal(error.driverError.position, String(failing.indexOf('nowhere') + 1));
        return true;
      });
      const author = await dataSource.manager.save(entities.Author, { name: 'new' });
      const { affected } = await dataSource
        .createQueryBuilder()
        .delete()
        .from(entities.Author)
        .where({ id: author.id })
        .execute();
      assert.equal(affected, 1);
    },
  );

  await check(
    'runner.connect: a SELECT, an empty context and a transaction in SQL are sent as they are',
    async (dataSource, context) => {
      const [{ read }] = await dataSource.query(`select coalesce(${READ}, '') as read`);
      assert.equal(read, '');
      for (const value of [{}, undefined]) {
        context.value = value;
        await dataSource.query(INSERT);
        await dataSource.transaction((/** @type {any} */ manager) => manager.query(INSERT));
      }
    },
    ['none', 'none', 'none', 'none'],
  );

  await check(
    'runner.connect: a context that cannot be written rejects before anything is sent',
    async (dataSource, context) => {
      context.value = { id: 1n };
      await assert.rejects(dataSource.query(INSERT), /BigInt/);
      await assert.rejects(
        dataSource.transaction((/** @type {any} */ manager) => manager.query(INSERT)),
        /BigInt/,
      );
      context.value = {};
      await dataSource.query("insert into note (what) values ('next')");
    },
    ['next'],
  );

  await check('runner.connect: otherwise the client behaves like the client of pg', async (dataSource) => {
    const runner = dataSource.createQueryRunner();
    const client = await runner.connect();
    assert(client instanceof pg.Client);
    assert(isPgClient(client));
    const listener = () => undefined;
    client.on('notice', listener).off('notice', listener);
    const cursor = client.query(new Cursor('select generate_series(1, 3)'));
    assert.equal((await cursor.read(9)).length, 3);
    await cursor.close();
    const rows = [];
    for await (const row of client.query(new QueryStream('select generate_series(1, 3)'))) rows.push(row);
    for await (const row of await runner.stream('select generate_series(1, 3)')) rows.push(row);
    assert.equal(rows.length, 6);
    const answer = await new Promise((resolve) =>
      client.query('select 1 as one', (/** @type {unknown} */ _, /** @type {unknown} */ result) =>
        resolve(result),
      ),
    );
    assert.deepEqual(answer.rows, [{ one: 1 }]);
    await runner.release();
  });

  await check(
    'createQueryRunner: a runner of the driver itself sets no context',
    async (dataSource) => {
      const { createPlainRunner } = await subject.cell.load('postgres/driver.js');
      const runner = createPlainRunner(dataSource);
      await runner.query(INSERT);
      await runner.startTransaction();
      await runner.query(INSERT);
      await runner.commitTransaction();
      await runner.release();
    },
    ['none', 'none'],
  );
}
