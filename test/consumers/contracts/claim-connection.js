// @ts-check
import assert from 'node:assert/strict';
import { once } from 'node:events';
import net from 'node:net';
import { mock } from 'node:test';
import { until } from './subject.js';

const ROUND_TRIP_MS = 10_000;

/** Checks `ClaimConnection`. @param {import('./subject.js').Subject} subject */
export async function checkClaimConnections(subject) {
  const { ClaimConnection } = await subject.cell.load('postgres/claim-connection.js');

  /**
   * Runs a check with an open connection of a pool of one.
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

  await check('client.processID: processId is the ID of the server process', async (connection) => {
    const { rows } = await connection.statement('select pg_backend_pid() as pid', [], 'an answer');
    assert.equal(connection.processId, rows[0].pid);
  });

  await check(
    'query.types, query.rowMode: roundTrip() returns arrays of texts, regardless of type parsers',
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
    'client.query: roundTrip() rejects with the error of the server, and remains usable',
    async (connection) => {
      await assert.rejects(connection.roundTrip('select 1; select 1 / 0', 'an answer'), { code: '22012' });
      const [result] = await connection.roundTrip('select 2', 'an answer');
      assert.deepEqual(result.rows, [['2']]);
    },
  );

  await check('client.query: statement() returns the rows of pg', async (connection) => {
    const { rows, rowCount } = await connection.statement(
      'select n from generate_series(1, $1) n',
      [2],
      'an answer',
    );
    assert.deepEqual([rows, rowCount], [[{ n: 1 }, { n: 2 }], 2]);
  });

  await check(
    'client.secretKey: cancel() ends a statement, and the connection remains usable',
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

  await check('getTransactionStatus: hasNoTransaction uses the status that pg has', async (connection) => {
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
    'releaseCallback: release() returns the connection to the pool with its earlier listeners',
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
    'releasePostgresConnection: taint() makes release() close the connection',
    async (connection, dataSource) => {
      const { processId } = connection;
      connection.taint();
      await connection.release();
      await subject.sessionEnds(processId);
      assert.notEqual(await processIdIn(dataSource), processId);
    },
  );

  await check(
    'releasePostgresConnection: destroy() ends the session and rolls back its transaction',
    async (connection, dataSource) => {
      await connection.roundTrip("begin; insert into note (what) values ('destroyed')", 'an answer');
      await connection.destroy(new Error('given up'));
      await subject.sessionEnds(connection.processId);
      assert(!(await subject.notes()).includes('destroyed'));
      assert.notEqual(await processIdIn(dataSource), connection.processId);
    },
  );

  await check(
    'releasePostgresConnection: destroy() ends a connection with a pending statement',
    async (connection, dataSource) => {
      const sleeping = assert.rejects(connection.roundTrip('select pg_sleep(60)', 'an answer'));
      await subject.sessionSleeps(connection.processId);
      await connection.destroy(new Error('given up'));
      await sleeping;
      await subject.query('select pg_terminate_backend($1)', [connection.processId]); // its statement is still running
      assert.equal(typeof (await processIdIn(dataSource)), 'number');
    },
  );

  await check(
    "client 'error', 'end': isLost is true when the server ends the session",
    async (connection, dataSource) => {
      await subject.query('select pg_terminate_backend($1)', [connection.processId]);
      await until(() => connection.isLost, 'the connection to be lost');
      assert.throws(() => connection.assertUsable());
      await assert.rejects(connection.roundTrip('select 1', 'an answer'));
      await connection.release();
      assert.notEqual(await processIdIn(dataSource), connection.processId);
    },
  );

  await check("client 'error': a statement rejects when its session ends", async (connection) => {
    const sleeping = assert.rejects(connection.statement('select pg_sleep(60)', [], 'an answer'));
    await subject.sessionSleeps(connection.processId);
    await subject.query('select pg_terminate_backend($1)', [connection.processId]);
    await sleeping;
    await until(() => connection.isLost, 'the connection to be lost');
  });

  await check(
    'runner.connect: a connection that opens after the timeout is returned to the pool',
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

  await check(
    'releasePostgresConnection: a round trip that times out ends the session',
    async (connection) => {
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
    },
  );

  /** Like `sessionSleeps()`, but without a timer. @param {number} processId */
  async function asleep(processId) {
    const sql = "select from pg_stat_activity where pid = $1 and wait_event = 'PgSleep'";
    while ((await subject.query(sql, [processId])).length === 0);
  }

  await subject.check("pool 'connect': guardPools() handles an error immediately after the event", () =>
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
          emitted++; // before TypeORM, which continues in a promise
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

  await subject.check('pool.Client: guardPools() limits the time to open a connection', () =>
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
    'driver.connect, pool.end: a pending request for a connection rejects when the pool ends',
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
