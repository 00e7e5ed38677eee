// @ts-check
import assert from 'node:assert/strict';

const TEXT = 'select $1::int as n';
const SAVEPOINT = { text: 'savepoint contracts' };

/** Checks prepared statements, which exist as long as a claim. @param {import('./subject.js').Subject} subject */
export async function checkPreparedStatements(subject) {
  const { PreparedStatementCache } = await subject.cell.load('postgres/prepared-statement-cache.js');
  const client = await subject.connect();

  /** Returns the texts of the server's prepared statements. @returns {Promise<string[]>} */
  const prepared = async () => {
    const { rows } = await client.query(
      'select statement from pg_prepared_statements order by prepare_time, name',
    );
    return rows.map((/** @type {{ statement: string }} */ { statement }) => statement);
  };
  /** Returns the names of the library that pg knows. */
  const known = () => {
    const { parsedStatements, submittedNamedStatements = {} } = client.connection;
    const names = Object.keys({ ...parsedStatements, ...submittedNamedStatements });
    return names.filter((name) => name.startsWith('pgpubsub_'));
  };

  /**
   * Runs a check in a transaction, after which no prepared statement must be left.
   * @param {string} name
   * @param {(cache: any, send: (text: string, values: unknown[], commands?: object[]) => Promise<any>) => Promise<unknown>} act
   */
  const check = (name, act) =>
    subject.check(name, async () => {
      const cache = new PreparedStatementCache(client);
      const unexpected = (/** @type {Error} */ error) => assert.fail(`a command failed: ${error.message}`);
      await client.query('begin');
      await act(cache, (text, values, commands = []) => cache.send(commands, { text, values }, unexpected));
      cache.end();
      await client.query('commit');
      assert.deepEqual(known(), []);
      assert.deepEqual(await prepared(), []);
    });

  await check('parsedStatements: the second use of a text parses it under a name, once', async (_, send) => {
    const parsed = recordParsed(client);
    for (const n of [1, 2, 3, 4]) {
      const { rows } = await send(TEXT, [n]);
      assert.deepEqual(rows, [{ n }]);
      assert.deepEqual(await prepared(), n === 1 ? [] : [TEXT]);
    }
    assert.deepEqual(
      parsed
        .stop()
        .filter(({ text }) => text === TEXT)
        .map(({ name }) => Boolean(name)),
      [false, true],
    );
    assert.equal(known().length, 1);
  });

  await check(
    'connection.parse: the second use of a command parses it under a name, once',
    async (_, send) => {
      const parsed = recordParsed(client);
      for (const n of [1, 2, 3, 4]) assert.deepEqual((await send(TEXT, [n], [SAVEPOINT])).rows, [{ n }]);
      assert.deepEqual(await prepared(), [SAVEPOINT.text, TEXT]);
      assert.equal(parsed.stop().filter(({ text }) => text === SAVEPOINT.text).length, 2);
    },
  );

  await check(
    'connection.close: end() closes the prepared statements before the next statement',
    async (cache, send) => {
      for (const n of [1, 2]) await send(TEXT, [n], [SAVEPOINT]);
      cache.end();
      assert.deepEqual(await prepared(), []);
      assert.deepEqual((await send(TEXT, [3])).rows, [{ n: 3 }]);
    },
  );

  await check(
    'connection.close: a statement that fails is parsed again under another name',
    async (_, send) => {
      const text = 'select 6 / $1::int as n';
      for (const n of [1, 2]) await send(text, [n], [SAVEPOINT]);
      const [first] = known();
      await assert.rejects(send(text, [0]), { code: '22012' });
      await client.query(`rollback to ${SAVEPOINT.text}`);
      for (const n of [1, 2]) assert.deepEqual((await send(text, [n])).rows, [{ n: 6 / n }]);
      assert.equal(known().length, 2);
      assert(known().some((name) => name !== first));
    },
  );

  await check('parsedStatements: a statement that the server cannot parse is not cached', async (_, send) => {
    const text = 'select n from contracts_cached where n = $1';
    await send('select $1::int', [1], [SAVEPOINT]);
    for (const n of [1, 2, 3]) {
      await assert.rejects(send(text, [n]), { code: '42P01' });
      await client.query(`rollback to ${SAVEPOINT.text}`);
    }
    await client.query('create temp table contracts_cached on commit drop as select 1 as n');
    for (const n of [1, 2, 3]) assert.equal((await send(text, [n])).rowCount, n === 1 ? 1 : 0);
  });

  await check('query.name: named queries of pg work and keep their names', async (cache, send) => {
    const named = { name: 'of pg', text: "select $1::int as n, 'of pg' as of" };
    const parsed = recordParsed(client);
    const unexpected = () => assert.fail('expected no error of a command');
    for (const n of [1, 2]) {
      const statement = { text: named.text, values: [n], config: { name: named.name } };
      const { rows } = await cache.send([SAVEPOINT], statement, unexpected);
      assert.equal(rows[0].n, n);
      await send(TEXT, [n]);
      assert.equal((await client.query({ ...named, values: [n] })).rows[0].n, n);
    }
    cache.end();
    assert.equal((await client.query({ ...named, values: [5] })).rows[0].n, 5);
    assert.equal(parsed.stop().filter(({ name }) => name === named.name).length, 1);
    assert.deepEqual(await prepared(), [named.text]);
    await client.query('deallocate "of pg"');
  });

  await check(
    'query.requiresPreparation: a text without values can contain several statements',
    async (cache) => {
      for (let count = 0; count < 3; count++) {
        const results = await cache.send(
          [SAVEPOINT],
          { text: 'select 1 as a; select 2 as b' },
          () => undefined,
        );
        assert.deepEqual(
          results.map((/** @type {any} */ { rows }) => rows),
          [[{ a: 1 }], [{ b: 2 }]],
        );
      }
      assert.deepEqual(await prepared(), []);
    },
  );
}

/** Records the Parse messages that are sent until `stop()`, which returns them. @param {any} client */
export function recordParsed({ connection }) {
  /** @type {{ text: string, name?: string }[]} */
  const sent = [];
  connection.parse = (/** @type {{ text: string, name?: string }} */ message) => {
    sent.push(message);
    Object.getPrototypeOf(connection).parse.call(connection, message);
  };
  const stop = () => {
    delete connection.parse;
    return sent;
  };
  return { stop };
}
