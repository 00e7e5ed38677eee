// @ts-check
import assert from 'node:assert/strict';
import { createClaimCheck, INSERT } from './claim.js';
import { minorOf } from './pg-client.js';

/** Checks the client of a handler. @param {import('./subject.js').Subject} subject */
export async function checkHandlerClients(subject) {
  const check = createClaimCheck(subject);
  await checkClient(check, subject);
  await checkCursors(check, subject);
  await checkStreams(check, subject);
  await checkRejected(check, subject);
}

/** Checks the guarded client. @param {import('./claim.js').Check} check @param {import('./subject.js').Subject} subject */
async function checkClient(check, subject) {
  const { pg } = subject.cell;

  await check('runner.connect: the client of a handler is guarded', async ({ connection, handle }) => {
    await handle(async (manager) => {
      const client = await manager.queryRunner.connect();
      assert.notEqual(client, connection.client);
      assert.equal(client.processID, connection.processId);
      assert(client instanceof pg.Client);
      for (const member of ['connection', 'queryQueue', '_queryQueue', 'activeQuery', '_events'])
        assert.equal(client[member], undefined);
      assert.throws(() => client.release(), { code: 'INVALID_ARGUMENT' });
      assert.throws(() => client.end(), { code: 'INVALID_ARGUMENT' });
      const { rows } = await client.query({ text: 'select $1::int', values: [1], rowMode: 'array' });
      assert.deepEqual(rows, [[1]]);
      const result = await new Promise((resolve, reject) => {
        client.query(
          'select $1::int as n',
          [2],
          (/** @type {unknown} */ error, /** @type {unknown} */ answer) =>
            error ? reject(error) : resolve(answer),
        );
      });
      assert.deepEqual(result.rows, [{ n: 2 }]);
    });
  });

  await check('query.name: a named query works in each handler', async ({ handle }) => {
    const named = { name: 'of_handler', text: 'select $1::int as n' };
    for (const n of [1, 2, 3])
      await handle(async (manager) => {
        const client = await manager.queryRunner.connect();
        assert.deepEqual((await client.query({ ...named, values: [n] })).rows, [{ n }]);
        if (n === 3) await client.query('discard plans');
      });
  });

  await check(
    'client.query: statements that are not awaited belong to their handler',
    async ({ handle }) => {
      await handle(async (manager) => void manager.query(`${INSERT}, ($2)`, ['not', 'awaited']));
      const failed = handle(async (manager) => {
        void manager.query(INSERT, ['undone']);
        throw new Error('failed');
      });
      await assert.rejects(failed, /failed/);
      await handle((manager) => Promise.all([1, 2, 3].map((n) => manager.query(INSERT, [n]))));
    },
    ['not', 'awaited', '1', '2', '3'],
  );
}

/** Checks cursors of pg-cursor. @param {import('./claim.js').Check} check @param {import('./subject.js').Subject} subject */
async function checkCursors(check, subject) {
  const { Cursor } = subject.cell;

  await check(
    'query.submit: a cursor of pg-cursor runs after the savepoint, and is closed at the end',
    async ({ handle }) => {
      const handler = handle(async (manager) => {
        const client = await manager.queryRunner.connect();
        const cursor = client.query(
          new Cursor('insert into note (what) select n::text from generate_series(1, 9) n returning what'),
        );
        assert.equal((await cursor.read(2)).length, 2);
        throw new Error('failed');
      });
      await assert.rejects(handler, /failed/);
      await handle(async (manager) => {
        const cursor = (await manager.queryRunner.connect()).query(
          new Cursor('select generate_series(1, 9)'),
        );
        assert.equal((await cursor.read(2)).length, 2); // and leaves it open
      });
    },
  );

  await check(
    'query.handleError: a rejected cursor fails its handler, not the claim',
    async ({ handle }) => {
      const failed = handle(async (manager) => {
        const cursor = (await manager.queryRunner.connect()).query(
          new Cursor('select 1 / (2 - n) from generate_series(1, 9) n'),
        );
        await cursor.read(5);
      });
      await assert.rejects(failed, { code: '22012' });
      await handle((manager) => manager.query(INSERT, ['next']));
    },
    ['next'],
  );

  await check(
    'client.pipeline: statements after a cursor get their own results without await',
    async ({ handle }) => {
      await handle(async (manager) => {
        const client = await manager.queryRunner.connect();
        const cursor = client.query(new Cursor('select generate_series(1, 3) as c'));
        const others = [1, 2, 3].map((n) =>
          client.query('select $1::int as n, pg_sleep(0.03)::text as slept', [n]),
        );
        const rows = await cursor.read(10);
        await cursor.close();
        assert.deepEqual(rows, [{ c: 1 }, { c: 2 }, { c: 3 }]);
        for (const [index, { rows: answer }] of (await Promise.all(others)).entries())
          assert.deepEqual(answer, [{ n: index + 1, slept: '' }]);
      });
    },
  );
}

/** Checks streams of pg-query-stream, TypeORM and pg-copy-streams. @param {import('./claim.js').Check} check @param {import('./subject.js').Subject} subject */
async function checkStreams(check, subject) {
  const { entities } = subject;
  const { QueryStream, copyFrom } = subject.cell;

  await check('query.submit: a stream of pg-query-stream runs after the savepoint', async ({ handle }) => {
    await handle(async (manager) => {
      const rows = [];
      for await (const row of (await manager.queryRunner.connect()).query(
        new QueryStream('select generate_series(1, 300)'),
      ))
        rows.push(row);
      assert.equal(rows.length, 300);
    });
  });

  await check('runner.stream, loadStreamDependency: a stream of TypeORM works', async ({ handle }) => {
    await handle(async (manager) => {
      const rows = [];
      for await (const row of await manager.queryRunner.stream(
        'select generate_series(1, $1::int) as n',
        [300],
      ))
        rows.push(row);
      assert.equal(rows.length, 300);
      let builder = 0;
      for await (const _ of await manager.createQueryBuilder(entities.Book, 'b').stream()) builder++;
      assert.equal(builder, 2);
    });
  });

  await check(
    'query.submit: a COPY of pg-copy-streams runs after the savepoint',
    async ({ handle }) => {
      const copy = async (/** @type {any} */ manager, /** @type {string} */ text) => {
        const stream = (await manager.queryRunner.connect()).query(copyFrom('copy note (what) from stdin'));
        await new Promise((resolve, reject) => {
          stream.on('finish', resolve).on('error', reject);
          stream.end(text);
        });
      };
      await handle((manager) => copy(manager, 'copied\nwell\n'));
      const undone = handle(async (manager) => {
        await copy(manager, 'undone\n');
        throw new Error('failed');
      });
      await assert.rejects(undone, /failed/);
    },
    ['copied', 'well'],
  );

  await check(
    'query.handleError: a rejected COPY fails its handler, not the claim',
    async ({ handle }) => {
      const failed = handle(async (manager) => {
        const stream = (await manager.queryRunner.connect()).query(copyFrom('copy nowhere from stdin'));
        await new Promise((resolve, reject) => stream.on('finish', resolve).on('error', reject));
      });
      await assert.rejects(failed, { code: '42P01' });
      await handle((manager) => manager.query(INSERT, ['next']));
    },
    ['next'],
  );
}

/** Checks statements that are rejected before the server runs them. @param {import('./claim.js').Check} check @param {import('./subject.js').Subject} subject */
async function checkRejected(check, subject) {
  await check(
    'query.handleError: a syntax error fails one handler, not the claim',
    async ({ handle }) => {
      await assert.rejects(
        handle((manager) => manager.query('selec 1')),
        { code: '42601' },
      );
      await handle((manager) => manager.query(INSERT, ['next']));
    },
    ['next'],
  );

  await check(
    'query.submit: values that are not an array fail one handler, not the claim',
    async ({ handle }) => {
      const values = handle(async (manager) =>
        (await manager.queryRunner.connect()).query({ text: 'select $1::int', values: 'none' }),
      );
      await assert.rejects(values, /must be an array/);
      await handle((manager) => manager.query(INSERT, ['next']));
    },
    ['next'],
  );

  // before 8.22, pg waits indefinitely in this case (see prefixed-query.js)
  if (minorOf(subject) >= 22)
    await check(
      'query.submit: a value that cannot be serialized fails one handler, not the claim',
      async ({ handle }) => {
        await assert.rejects(
          handle((manager) => manager.query(INSERT, [{ id: 1n }])),
          /BigInt/,
        );
        await handle((manager) => manager.query(INSERT, ['next']));
      },
      ['next'],
    );
}
