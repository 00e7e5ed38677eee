// @ts-check
import assert from 'node:assert/strict';
import { createClaimCheck, failing, INSERT } from './claim.js';

/** Checks the transaction of a handler, which begins with a savepoint in its claim. @param {import('./subject.js').Subject} subject */
export async function checkHandlers(subject) {
  const check = createClaimCheck(subject);
  await checkWrites(check, subject);
  await checkErrors(check, subject);
  await checkNesting(check, subject);
  await checkGuards(check);
}

/** @param {import('./claim.js').Check} check @param {import('./subject.js').Subject} subject */
async function checkWrites(check, subject) {
  const { entities } = subject;

  await check(
    'databaseConnection: the writes of a handler are rolled back if it fails, otherwise kept',
    async ({ handle }) => {
      await handle((manager) => manager.query(INSERT, ['first']));
      for (const _ of [1, 2, 3]) await assert.rejects(handle(failing), /failed/);
      for (const what of ['second', 'third']) await handle((manager) => manager.query(INSERT, [what]));
    },
    ['first', 'second', 'third'],
  );

  await check(
    'runner.query: queries, repositories and builders run on the connection of the claim',
    async ({ connection, handle }, dataSource) => {
      await handle(async (manager) => {
        const [{ pid }] = await manager.query('select pg_backend_pid() as pid');
        assert.equal(pid, connection.processId);
        assert.equal(manager.connection, dataSource);
        assert.equal(manager.queryRunner.manager, manager);
        const { id } = await manager.save(entities.Author, { name: 'new' });
        await manager.getRepository(entities.Author).update({ id }, { name: 'newer' });
        const found = await manager.createQueryBuilder(entities.Author, 'a').where({ id }).getOne();
        assert.equal(found.name, 'newer');
        await manager.remove(found);
        await manager.query(INSERT, ['written']);
      });
    },
    ['written'],
  );
}

/** @param {import('./claim.js').Check} check @param {import('./subject.js').Subject} subject */
async function checkErrors(check, subject) {
  const { typeorm } = subject.cell;

  await check('QueryFailedError: an error of the server is a QueryFailedError', async ({ handle }) => {
    const failed = handle((manager) => manager.query('select 1 / $1::int', [0]));
    await assert.rejects(
      failed,
      (/** @type {any} */ error) =>
        error instanceof typeorm.QueryFailedError && error.driverError.code === '22012',
    );
  });

  await check('QueryFailedError: an error that the handler ignores fails the handler', async ({ handle }) => {
    const swallowing = handle(async (manager) => {
      await manager.query(INSERT, ['undone']);
      await manager.query('select 1 / $1::int', [0]).catch(() => undefined);
    });
    await assert.rejects(swallowing, (error) => error instanceof typeorm.QueryFailedError);
  });
}

/** Checks transactions in handlers. @param {import('./claim.js').Check} check @param {import('./subject.js').Subject} subject */
async function checkNesting(check, subject) {
  const { entities } = subject;

  await check(
    'transactionDepth, isTransactionActive: a transaction of the handler is a savepoint',
    async ({ connection, handle }) => {
      await handle(async (manager) => {
        assert.equal(manager.queryRunner.isTransactionActive, true);
        await manager.query(INSERT, ['outer']);
        await manager.transaction(async (/** @type {any} */ nested) => {
          assert.equal(nested.queryRunner, manager.queryRunner);
          await nested.query(INSERT, ['inner']);
          await assert.rejects(nested.transaction(failing), /failed/);
        });
        await assert.rejects(manager.transaction(failing), /failed/);
        assert.equal(manager.queryRunner.isTransactionActive, true);
        await manager.transaction((/** @type {any} */ nested) => nested.query(INSERT, ['last']));
      });
      assert.equal(connection.isLost, false);
    },
    ['outer', 'inner', 'last'],
  );

  await check(
    'transactionDepth: save() begins no transaction that would end the claim',
    async ({ handle, savepoint }) => {
      await handle(async (manager) => {
        await manager.query(INSERT, ['before']);
        const author = await manager.save(entities.Author, { name: 'saved' });
        await manager.remove(entities.Author, author);
      });
      savepoint.assertIntact();
    },
    ['before'],
  );

  await check(
    'transactionDepth: interleaved handlers share a savepoint and cannot nest transactions',
    async ({ handle }) => {
      const shared = { isOpen: false };
      await Promise.all(
        [1, 2, 3].map(() => handle((manager) => manager.query(INSERT, ['shared']), { shared })),
      );
      const nested = handle((manager) => manager.transaction(() => Promise.resolve()), { shared });
      await assert.rejects(nested, { code: 'INVALID_ARGUMENT' });
    },
    ['shared', 'shared', 'shared'],
  );
}

/** Checks the protection of the claim's transaction and session. @param {import('./claim.js').Check} check */
async function checkGuards(check) {
  for (const [name, end] of /** @type {[string, (manager: any) => Promise<unknown>][]} */ ([
    ['runner.commitTransaction', (manager) => manager.queryRunner.commitTransaction()],
    ['runner.rollbackTransaction', (manager) => manager.queryRunner.rollbackTransaction()],
    ['runner.query', (manager) => manager.query('COMMIT')],
    ['databaseConnection', async (manager) => (await manager.queryRunner.connect()).query('rollback')],
  ]))
    await check(
      `${name}: the end of the claim's transaction is rejected without an effect`,
      async ({ handle }) => {
        await handle(async (manager) => {
          await manager.query(INSERT, ['before']);
          await assert.rejects(
            end(manager),
            (/** @type {any} */ error) => (error.driverError ?? error).code === 'INVALID_ARGUMENT',
          );
          await manager.query(INSERT, ['after']);
        });
      },
      ['before', 'after'],
    );

  await check(
    'runner.release: the claim keeps its connection',
    async ({ handle }) => {
      await handle(async (manager) => {
        await manager.queryRunner.release();
        await manager.query(INSERT, ['released']);
      });
    },
    ['released'],
  );

  await check('client.query: the settings of a handler end with the handler', async ({ handle }) => {
    const settingsOf = async (/** @type {any} */ manager) =>
      (
        await manager.query(
          "select current_setting('search_path') as path, current_setting('lock_timeout') as lock",
        )
      )[0];
    /** @type {any} */
    let before;
    await handle(async (manager) => {
      before = await settingsOf(manager);
      await manager.query("set local search_path = pg_catalog; set local lock_timeout = '7s'");
      await manager.query("select set_config('lock_timeout', $1, true)", ['8s']);
    });
    await handle(async (manager) => assert.deepEqual(await settingsOf(manager), before));
  });
}
