// @ts-check
import assert from 'node:assert/strict';
import { minorOf } from './pg-client.js';

/** Checks statements that do not wait for each other, in pg 8.23 and later. @param {import('./subject.js').Subject} subject */
export async function checkPipelines(subject) {
  const { ClaimConnection } = await subject.cell.load('postgres/claim-connection.js');
  const { Cursor, QueryStream, copyFrom } = subject.cell;
  const canPipeline = minorOf(subject) >= 23;

  /** @param {string} name @param {(connection: any, send: (text: string, values: unknown[], commands?: object[]) => Promise<any>) => Promise<unknown>} act */
  const check = (name, act) =>
    subject.check(name, () =>
      subject.withDataSource({ poolSize: 1 }, async (dataSource) => {
        const connection = await ClaimConnection.open(dataSource);
        try {
          await act(connection, (text, values, commands = []) =>
            connection.send(commands, { text, values }, () => undefined),
          );
        } finally {
          await connection.release();
        }
        if (canPipeline) assert.equal(connection.client.pipeline, false); // as before
      }),
    );

  await check(
    'client.pipeline: statements are sent without waiting if pg supports it',
    async (connection, send) => {
      const sent = recordTexts(connection.client);
      const commands = [{ text: 'select 0' }];
      const both = [
        send('select $1::int as n', [1], commands),
        send('select $1::int as n', [2]),
        send('select 3 as n', []),
      ];
      assert.deepEqual(
        sent.stop(),
        canPipeline
          ? ['select 0', 'select $1::int as n', 'select $1::int as n', 'select 3 as n']
          : ['select 0', 'select $1::int as n'],
      );
      const results = await Promise.all(both);
      assert.deepEqual(
        results.map(({ rows }) => rows[0].n),
        [1, 2, 3],
      );
    },
  );

  await check(
    'submittedNamedStatements: a repeated text is parsed once under a name',
    async (connection, send) => {
      await connection.roundTrip('begin', 'an answer');
      const sent = recordTexts(connection.client);
      const results = await Promise.all([1, 2, 3, 4, 5].map((n) => send('select $1::int as n', [n])));
      assert.deepEqual(
        results.map(({ rows }) => rows[0].n),
        [1, 2, 3, 4, 5],
      );
      assert.equal(sent.stop().length, 2); // once without a name, once with a name
      await connection.roundTrip('rollback', 'an answer', { ends: true });
      const [{ rows }] = await connection.roundTrip('select name from pg_prepared_statements', 'an answer');
      assert.deepEqual(rows, []);
    },
  );

  await check('client.pipeline: the error of one statement does not fail the others', async (_, send) => {
    const failing = assert.rejects(send('select 1 / $1::int', [0], [{ text: 'select 0' }]), {
      code: '22012',
    });
    const results = await Promise.all([
      send('select $1::int as n', [1]),
      send('select $1::int as n', [2], [{ text: 'select 0' }]),
    ]);
    await failing;
    assert.deepEqual(
      results.map(({ rows }) => rows[0].n),
      [1, 2],
    );
  });

  await check(
    'client.pipeline: a cursor, a stream and a COPY run after stopPipelining()',
    async (connection, send) => {
      const { client } = connection;
      await send('select $1::int', [1]);
      connection.stopPipelining();
      const cursor = client.query(new Cursor('select generate_series(1, 3) as n'));
      assert.equal((await cursor.read(2)).length, 2);
      await cursor.close();
      const rows = [];
      for await (const row of client.query(new QueryStream('select generate_series(1, 300) as n')))
        rows.push(row);
      assert.equal(rows.length, 300);
      await client.query('create temp table copied (n int)');
      const copy = client.query(copyFrom('copy copied from stdin'));
      await new Promise((resolve, reject) => {
        copy.on('finish', resolve).on('error', reject);
        copy.end('1\n2\n');
      });
      assert.equal((await send('select n from copied where n > $1', [0])).rowCount, 2);
    },
  );
}

/** Records the texts that are sent until `stop()`, which returns them. @param {any} client */
function recordTexts({ connection }) {
  /** @type {string[]} */
  const texts = [];
  const prototype = Object.getPrototypeOf(connection);
  connection.parse = (/** @type {any} */ message) => {
    texts.push(message.text);
    prototype.parse.call(connection, message);
  };
  connection.query = (/** @type {string} */ text) => {
    texts.push(text);
    prototype.query.call(connection, text);
  };
  const stop = () => {
    delete connection.parse;
    delete connection.query;
    return texts;
  };
  return { stop };
}
