// @ts-check
import assert from 'node:assert/strict';
import { createClaimCheck, INSERT } from './claim.js';

/** Checks the end of a handler. @param {import('./subject.js').Subject} subject */
export async function checkHandlerEnds(subject) {
  const check = createClaimCheck(subject);
  const { entities } = subject;

  await check('isReleased: a statement after the end of its handler is rejected', async ({ handle }) => {
    /** @type {any} */
    let kept;
    await handle(async (manager) => {
      kept = { manager, runner: manager.queryRunner, client: await manager.queryRunner.connect() };
      await manager.query('select 1');
    });
    assert.equal(kept.runner.isReleased, true);
    await assert.rejects(kept.manager.query(INSERT, ['late']), /after its end/);
    await assert.rejects(kept.client.query(INSERT, ['late']), /after its end/);
    await assert.rejects(kept.runner.query(INSERT, ['late']), /after its end/);
    await assert.rejects(kept.runner.stream('select 1'), /after its end/);
    await assert.rejects(kept.manager.find(entities.Author));
    await assert.rejects(kept.manager.transaction(() => Promise.resolve()));
  });

  await check(
    'isReleased: lazy relations load in the handler, and after its end on another connection',
    async ({ connection, handle }) => {
      /** @type {any} */
      let author;
      await handle(async (manager) => {
        const [book] = await manager.find(entities.Book, { order: { id: 'ASC' } });
        author = await book.author;
        assert.equal(author.name, 'Ursula');
      });
      const isAuthor = author instanceof entities.Author;
      assert(isAuthor);
      const books = await author.books;
      assert.deepEqual(books.map((/** @type {any} */ { title }) => title).toSorted(), ['Lathe', 'Left Hand']);
      assert.equal((await books[0].author).name, 'Ursula');
      assert.equal(connection.isLost, false);
    },
  );

  await check(
    'client.secretKey: the statement of a handler that times out is cancelled on the server',
    async ({ connection, handle }) => {
      const startedAt = performance.now();
      const late = handle(
        async (manager) => {
          await manager.query(INSERT, ['undone']);
          await manager.query('select pg_sleep(60)');
        },
        { timeoutMs: 100 },
      );
      await assert.rejects(late, { code: 'HANDLER_TIMEOUT' });
      assert(performance.now() - startedAt < 3_000, 'expected the statement to be cancelled');
      assert.equal(connection.isLost, false);
      await handle((manager) => manager.query(INSERT, ['next']));
    },
    ['next'],
  );

  await check(
    'query.submit: the stream of a handler that times out is ended',
    async ({ handle }) => {
      const late = handle(
        async (manager) => {
          const stream = await manager.queryRunner.stream(
            'select pg_sleep(0.02) from generate_series(1, 3000)',
          );
          for await (const _ of stream);
        },
        { timeoutMs: 100 },
      );
      await assert.rejects(late, { code: 'HANDLER_TIMEOUT' });
      await handle((manager) => manager.query(INSERT, ['next']));
    },
    ['next'],
  );
}
