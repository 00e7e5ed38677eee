// @ts-check
import assert from 'node:assert/strict';
import { once } from 'node:events';
import net from 'node:net';
import { mock } from 'node:test';
import { until } from './subject.js';

const ROUND_TRIP_MS = 10_000;

/** The connection of a claim. @param {import('./subject.js').Subject} subject */
export async function checkClaimConnections(subject) {
  const { ClaimConnection } = await subject.cell.load('postgres/claim-connection.js');

  /**
   * With a connection that is open, of a pool of one.
   * @param {string} name @param {(connection: any, dataSource: any) => Promise<unknown>} act @param {object} [options]
   */
  const check = (name, act, options) =>
    subject.check(name, () =>
      subject.withDataSource({ poolSize: 1, ...options }, async (dataSource) => {
        const connection = await ClaimConnection.open(dataSource);
        try {
          await act(connection, dataSource);
        } finally {
          await connection.release();
        }
      }),
    );
  const processIdIn = async (/** @type {any} */ executor) =>
    (await executor.query('select pg_backend_pid() as pid'))[0].pid;

  await check('client.processID: processId is the process of the server', async (connection) => {
    const { rows } = await connection.statement('select pg_backend_pid() as pid', [], 'an answer');
    assert.equal(connection.processId, rows[0].pid);
  });

  await check(
    'query.types, query.rowMode: roundTrip() has every result in arrays of texts, whatever parsers there are',
    async (connection) => {
      const text = `select 1 as a, true as b, null as c, 2::bigint as d; select '{"x": 1}'::jsonb as a; select where false`;
      const results = await connection.roundTrip(text, 'an answer');
      assert.deepEqual(
        results.map((/** @type {any} */ { rows }) => rows),
        [[['1', 't', null, '2']], [['{"x": 1}']], []],
      );
      const [one] = await connection.roundTrip('select 1', 'an answer');
      assert.deepEqual(one.rows, [['1']]);
    },
    { extra: { types: { getTypeParser: () => () => 'parsed by the application' } } },
  );

  await check(
    'client.query: roundTrip() rejects with the error of the server, and goes on',
    async (connection) => {
      await assert.rejects(connection.roundTrip('select 1; select 1 / 0', 'an answer'), { code: '22012' });
      const [result] = await connection.roundTrip('select 2', 'an answer');
      assert.deepEqual(result.rows, [['2']]);
    },
  );

  await check('client.query: statement() has the rows of pg', async (connection) => {
    const { rows, rowCount } = await connection.statement(
      'select n from generate_series(1, $1) n',
      [2],
      'an answer',
    );
    assert.deepEqual([rows, rowCount], [[{ n: 1 }, { n: 2 }], 2]);
  });

  await check(
    'client.secretKey: cancel() ends a statement, and the connection is usable',
    async (connection) => {
      const sleeping = assert.rejects(connection.roundTrip('select pg_sleep(60)', 'an answer'), {
        code: '57014',
      });
      await subject.sessionSleeps(connection.processId);
      await connection.cancel();
      await sleeping;
      const [result] = await connection.roundTrip('select 2', 'an answer');
      assert.deepEqual(result.rows, [['2']]);
    },
  );

  await check('getTransactionStatus: hasNoTransaction where pg knows', async (connection) => {
    const isKnown = 'getTransactionStatus' in connection.client;
    assert.equal(connection.hasNoTransaction, isKnown);
    await connection.roundTrip('begin', 'an answer');
    assert.equal(connection.hasNoTransaction, false);
    await assert.rejects(connection.roundTrip('select 1 / 0', 'an answer'));
    assert.equal(connection.hasNoTransaction, false);
    await connection.roundTrip('rollback', 'an answer', { ends: true });
    assert.equal(connection.hasNoTransaction, isKnown);
  });

  await check(
    'releaseCallback: release() gives the connection back, with the listeners it had',
    async (connection, dataSource) => {
      const { client, processId } = connection;
      const names = ['error', 'end'];
      await connection.release();
      const before = names.map((name) => client.listenerCount(name));
      const again = await ClaimConnection.open(dataSource);
      assert.equal(again.processId, processId);
      assert.equal(again.client, client);
      await again.release();
      assert.deepEqual(
        names.map((name) => client.listenerCount(name)),
        before,
      );
      assert.equal(await processIdIn(dataSource), processId);
    },
  );

  await check(
    'releasePostgresConnection: taint() closes the connection instead of giving it back',
    async (connection, dataSource) => {
      const { processId } = connection;
      connection.taint();
      await connection.release();
      await subject.sessionEnds(processId);
      assert.notEqual(await processIdIn(dataSource), processId);
    },
  );

  await check(
    'releasePostgresConnection: destroy() ends the session, and undoes its transaction',
    async (connection, dataSource) => {
      await connection.roundTrip("begin; insert into note (what) values ('destroyed')", 'an answer');
      await connection.destroy(new Error('given up'));
      await subject.sessionEnds(connection.processId);
      assert(!(await subject.notes()).includes('destroyed'));
      assert.notEqual(await processIdIn(dataSource), connection.processId);
    },
  );

  await check(
    'releasePostgresConnection: destroy() ends a connection that waits for an answer',
    async (connection, dataSource) => {
      const sleeping = assert.rejects(connection.roundTrip('select pg_sleep(60)', 'an answer'));
      await subject.sessionSleeps(connection.processId);
      await connection.destroy(new Error('given up'));
      await sleeping;
      await subject.query('select pg_terminate_backend($1)', [connection.processId]); // it would sleep on
      assert.equal(typeof (await processIdIn(dataSource)), 'number');
    },
  );

  await check(
    "client 'error', 'end': isLost when the server ends the session",
    async (connection, dataSource) => {
      await subject.query('select pg_terminate_backend($1)', [connection.processId]);
      await until(() => connection.isLost, 'the connection to be lost');
      assert.throws(() => connection.assertUsable());
      await assert.rejects(connection.roundTrip('select 1', 'an answer'));
      await connection.release();
      assert.notEqual(await processIdIn(dataSource), connection.processId);
    },
  );

  await check("client 'error': a session that ends behind a statement rejects it", async (connection) => {
    const sleeping = assert.rejects(connection.statement('select pg_sleep(60)', [], 'an answer'));
    await subject.sessionSleeps(connection.processId);
    await subject.query('select pg_terminate_backend($1)', [connection.processId]);
    await sleeping;
    await until(() => connection.isLost, 'the connection to be lost');
  });

  await check(
    'runner.connect: a connection that comes too late is given back to the pool',
    async (connection, dataSource) => {
      mock.timers.enable({ apis: ['setTimeout'] });
      const late = assert.rejects(ClaimConnection.open(dataSource), { code: 'TIMED_OUT' });
      mock.timers.tick(ROUND_TRIP_MS);
      mock.timers.reset();
      await late;
      const { processId } = connection;
      await connection.release();
      assert.equal(await processIdIn(dataSource), processId);
    },
  );

  await check('releasePostgresConnection: a round trip that is late ends the session', async (connection) => {
    const { processId } = connection;
    mock.timers.enable({ apis: ['setTimeout'] });
    const late = assert.rejects(connection.roundTrip('select pg_sleep(60)', 'an answer'), {
      code: 'TIMED_OUT',
    });
    await asleep(processId);
    mock.timers.tick(ROUND_TRIP_MS);
    mock.timers.reset();
    await late;
    await subject.sessionEnds(processId);
  });

  /** As `sessionSleeps()`, which waits by a timer. @param {number} processId */
  async function asleep(processId) {
    const sql = "select from pg_stat_activity where pid = $1 and wait_event = 'PgSleep'";
    while ((await subject.query(sql, [processId])).length === 0);
  }

  await subject.check(
    "pool 'connect': guardPools() keeps an error right after it from ending the process",
    () =>
      subject.withDataSource({ poolSize: 1 }, async (dataSource) => {
        const { guardPools } = await subject.cell.load('postgres/pool-guard.js');
        const { master } = dataSource.driver;
        await subject.query('select pg_terminate_backend($1)', [await processIdIn(dataSource)]);
        await until(() => master.totalCount === 0, 'the pool to be empty');
        guardPools(dataSource);
        guardPools(dataSource);
        /** @type {unknown[]} */
        const uncaught = [];
        const note = (/** @type {unknown} */ error) => uncaught.push(error);
        process.on('uncaughtException', note);
        let emitted = 0;
        master.once('connect', (/** @type {any} */ client) => {
          process.nextTick(() => {
            emitted++; // ahead of TypeORM, which continues in a promise
            client.emit('error', new Error('the server shuts down'));
          });
        });
        await ClaimConnection.open(dataSource).then(
          (/** @type {any} */ opened) => opened.release(),
          () => undefined,
        );
        process.off('uncaughtException', note);
        assert.equal(uncaught.length, 0, 'expected no error to end the process');
        assert.equal(emitted, 1);
      }),
  );

  await subject.check('pool.Client: guardPools() limits how long a connection may take to open', () =>
    subject.withDataSource({ poolSize: 1 }, async (dataSource) => {
      const { guardPools } = await subject.cell.load('postgres/pool-guard.js');
      guardPools(dataSource);
      const { master } = dataSource.driver;
      await subject.query('select pg_terminate_backend($1)', [await processIdIn(dataSource)]);
      await until(() => master.totalCount === 0, 'the pool to be empty');
      const silent = net.createServer().listen(0, '127.0.0.1');
      await once(silent, 'listening');
      const accepted = once(silent, 'connection');
      const { host, port, connectionString } = master.options;
      const to = { host: '127.0.0.1', port: /** @type {any} */ (silent.address()).port };
      Object.assign(master.options, { ...to, connectionString: undefined });
      mock.timers.enable({ apis: ['setTimeout'] });
      const opening = assert.rejects(dataSource.query('select 1'), /timeout|terminated/i);
      const [socket] = await accepted;
      mock.timers.tick(ROUND_TRIP_MS + 1_000);
      mock.timers.reset();
      await opening;
      assert.equal(master.totalCount, 0);
      Object.assign(master.options, { host, port, connectionString });
      socket.destroy();
      silent.close();
      assert.deepEqual(await dataSource.query('select 1 as n'), [{ n: 1 }]);
    }),
  );

  await subject.check(
    'driver.connect, pool.end: what waits for a connection learns of the end of its pool',
    () =>
      subject.withDataSource({ poolSize: 1 }, async (dataSource) => {
        const { guardPools } = await subject.cell.load('postgres/pool-guard.js');
        guardPools(dataSource);
        await dataSource.destroy();
        await dataSource.initialize();
        const connection = await ClaimConnection.open(dataSource);
        const waiting = assert.rejects(ClaimConnection.open(dataSource), /was destroyed/);
        const ended = dataSource.destroy();
        await waiting;
        await connection.release();
        await ended;
        await dataSource.initialize();
      }),
  );
}
