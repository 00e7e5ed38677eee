// @ts-check
import assert from 'node:assert/strict';

/** Checks members of pg's client. @param {import('./subject.js').Subject} subject */
export async function checkPgClient(subject) {
  const { processIdOf, destroySocket, AS_TEXT } = await subject.cell.load('postgres/pg-client.js');
  const { requestCancel } = await subject.cell.load('postgres/cancel.js');
  const { isPgClient } = await subject.cell.load('postgres/prefixed-query.js');

  await subject.check('client.processID is the ID of the server process', async () => {
    const client = await subject.connect();
    const { rows } = await client.query('select pg_backend_pid() as pid');
    assert.equal(processIdOf(client), rows[0].pid);
  });

  await subject.check('client.connection.stream ends the client when it is destroyed', async () => {
    const client = await subject.connect();
    const processId = processIdOf(client);
    const ended = new Promise((resolve) => client.once('end', resolve)); // 'error' comes first
    const sleeping = client.query('select pg_sleep(60)');
    destroySocket(client);
    await assert.rejects(sleeping);
    await ended;
    await subject.query('select pg_terminate_backend($1)', [processId]); // its statement is still running
  });

  await subject.check('client.secretKey cancels only the current statement', async () => {
    const client = await subject.connect();
    const sleeping = client.query('select pg_sleep(60)');
    const rejected = assert.rejects(sleeping, { code: '57014' });
    await subject.sessionSleeps(processIdOf(client));
    await requestCancel(client);
    await rejected;
    assert.equal((await client.query('select 1 as one')).rows[0].one, 1);
  });

  await subject.check('client.constructor.Query is the class of the queries', async () => {
    const client = await subject.connect();
    assert(isPgClient(client));
    assert.equal(client.constructor.Query, subject.cell.pg.Query);
    assert(!isPgClient({ query: () => undefined }));
  });

  await subject.check('query.types overrides the type parsers of the client for every column', async () => {
    const client = await subject.connect({
      types: { getTypeParser: () => () => 'parsed by the application' },
    });
    const text = `select 1 as a, true as b, null as c, now()::timestamptz as d; select '{"x": 1}'::json as a`;
    const [first, second] = await client.query({ text, rowMode: 'array', types: AS_TEXT });
    assert.deepEqual(first.rows[0].slice(0, 3), ['1', 't', null]);
    assert.equal(typeof first.rows[0][3], 'string');
    assert.deepEqual(second.rows, [['{"x": 1}']]);
  });

  await subject.check('getTransactionStatus() returns I, T or E in pg 8.21 and later', async () => {
    const client = await subject.connect();
    assert.equal('getTransactionStatus' in client, minorOf(subject) >= 21);
    if (minorOf(subject) < 21) return;
    assert.equal(client.getTransactionStatus(), 'I');
    await client.query('begin');
    assert.equal(client.getTransactionStatus(), 'T');
    for (const _ of [1, 2]) await assert.rejects(client.query('select 1 / 0')); // rejects before the status changes
    assert.equal(client.getTransactionStatus(), 'E');
    await client.query('rollback');
    assert.equal(client.getTransactionStatus(), 'I');
  });

  await subject.check('client.pipeline is false in pg 8.23 and later', async () => {
    const client = await subject.connect();
    assert.equal(client.pipeline, minorOf(subject) >= 23 ? false : undefined);
  });
}

/** Returns the minor version of pg. @param {import('./subject.js').Subject} subject */
export const minorOf = ({ name }) => Number(/^pg 8\.(\d+)/.exec(name)?.[1]);
