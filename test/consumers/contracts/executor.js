// @ts-check
import assert from 'node:assert/strict';

/** What `manager` may be. @param {import('./subject.js').Subject} subject */
export async function checkExecutors(subject) {
  const { resolveExecutor, queryRunnerOf, isPool, isOneSession } =
    await subject.cell.load('postgres/executor.js');
  const { Author, all } = subject.entities;

  /** @param {string} name @param {(dataSource: any) => unknown} act */
  const check = (name, act) =>
    subject.check(name, () =>
      subject.withDataSource({ entities: all }, async (dataSource) => act(dataSource)),
    );

  await check('DataSource.manager: a DataSource is its pool', (dataSource) => {
    assert.equal(resolveExecutor(dataSource), dataSource.manager);
    assert.equal(queryRunnerOf(dataSource.manager), undefined);
    assert(isPool(dataSource.manager));
    assert(isOneSession(dataSource.manager));
  });

  await check('QueryRunner.manager: a query runner is its session', async (dataSource) => {
    const runner = dataSource.createQueryRunner();
    const resolved = resolveExecutor(runner);
    assert.equal(resolved, runner.manager);
    assert.equal(queryRunnerOf(resolved), runner);
    assert(!isPool(resolved));
    await runner.release();
  });

  await check('Repository.manager: a repository is the session of its manager', async (dataSource) => {
    assert.equal(resolveExecutor(dataSource.getRepository(Author)), dataSource.manager);
    const extended = dataSource.getRepository(Author).extend({ findAll() {} });
    assert.equal(resolveExecutor(extended), dataSource.manager);
    await dataSource.transaction(async (/** @type {any} */ manager) => {
      for (const executor of [
        manager,
        manager.getRepository(Author),
        manager.withRepository(extended),
        manager.queryRunner,
      ])
        assert.equal(resolveExecutor(executor), manager);
      assert.equal(queryRunnerOf(manager), manager.queryRunner);
      assert(!isPool(manager));
      assert(isOneSession(manager));
    });
  });

  await check('EntityManager: proxies and executors of other libraries are themselves', (dataSource) => {
    const proxy = new Proxy(dataSource.manager, {});
    const other = { query: () => undefined };
    for (const executor of [proxy, other]) {
      assert.equal(resolveExecutor(executor), executor);
      assert(!isOneSession(executor));
      assert(!isPool(executor));
    }
    for (const executor of [undefined, null, {}, 'select 1'])
      assert.throws(() => resolveExecutor(executor), { code: 'INVALID_ARGUMENT' });
  });
}
