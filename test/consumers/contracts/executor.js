// @ts-check
import assert from 'node:assert/strict';

/** Checks the accepted values of the option `manager`. @param {import('./subject.js').Subject} subject */
export async function checkExecutors(subject) {
  const { resolveRoute } = await subject.cell.load('postgres/executor.js');
  const { Author, all } = subject.entities;

  /** @param {string} name @param {(dataSource: any) => unknown} act */
  const check = (name, act) =>
    subject.check(name, () =>
      subject.withDataSource({ entities: all }, async (dataSource) => act(dataSource)),
    );

  await check('DataSource.manager: a DataSource uses its pool', (dataSource) => {
    const { manager } = dataSource;
    assert.deepEqual(resolveRoute(dataSource), {
      kind: 'pool',
      executor: manager,
      session: manager,
      manager,
    });
  });

  await check('QueryRunner.manager: a query runner uses its own session', async (dataSource) => {
    const runner = dataSource.createQueryRunner();
    const { kind, executor, session } = resolveRoute(runner);
    assert.equal(kind, 'transaction');
    assert.equal(executor, runner.manager);
    assert.equal(session, runner);
    await runner.release();
  });

  await check('Repository.manager: a repository uses the session of its manager', async (dataSource) => {
    assert.equal(resolveRoute(dataSource.getRepository(Author)).executor, dataSource.manager);
    const extended = dataSource.getRepository(Author).extend({ findAll() {} });
    assert.equal(resolveRoute(extended).executor, dataSource.manager);
    await dataSource.transaction(async (/** @type {any} */ manager) => {
      for (const given of [
        manager,
        manager.getRepository(Author),
        manager.withRepository(extended),
        manager.queryRunner,
      ]) {
        const { kind, executor, session } = resolveRoute(given);
        assert.equal(kind, 'transaction');
        assert.equal(executor, manager);
        assert.equal(session, manager.queryRunner);
      }
    });
  });

  await check(
    'EntityManager: proxies and executors of other libraries are used as they are',
    (dataSource) => {
      const proxy = new Proxy(dataSource.manager, {});
      const other = { query: () => undefined };
      for (const given of [proxy, other]) {
        const { kind, executor, session } = resolveRoute(given);
        assert.equal(kind, 'foreign');
        assert.equal(executor, given);
        assert.equal(session, undefined);
      }
      for (const given of [undefined, null, {}, 'select 1'])
        assert.throws(() => resolveRoute(given), { code: 'INVALID_ARGUMENT' });
    },
  );
}
