// @ts-check
import assert from 'node:assert/strict';

export const INSERT = 'insert into note (what) values ($1)';

/** A handler that fails after a write. @param {any} manager */
export async function failing(manager) {
  await manager.query(INSERT, ['undone']);
  throw new Error('failed');
}

/** @typedef {(work: (manager: any, notification: any) => Promise<unknown>, options?: { timeoutMs?: number, shared?: object }) => Promise<void>} Handle */

/**
 * A claim without rows: a transaction on a connection of the DataSource's pool, and handlers in it.
 * @typedef {object} Claim
 * @property {any} connection
 * @property {any} savepoint
 * @property {Handle} handle runs a handler to its end
 * @property {() => Promise<void>} commit
 * @property {() => Promise<void>} close returns the connection to the pool
 */

/** @param {import('./subject.js').Subject} subject @param {any} dataSource @returns {Promise<Claim>} */
export async function beginClaim({ cell }, dataSource) {
  const { ClaimConnection } = await cell.load('postgres/claim-connection.js');
  const { HandlerTransaction } = await cell.load('postgres/handler-transaction.js');
  const { Savepoint } = await cell.load('postgres/savepoint.js');
  const { Watchdog } = await cell.load('common/deadline.js');
  const connection = await ClaimConnection.open(dataSource);
  await connection.roundTrip('begin', 'the server to begin');
  const savepoint = new Savepoint(connection, {
    contextOfHandler: () => undefined,
    contextOfClaim: '{}',
    restoresAlways: false,
  });
  const watchdog = new Watchdog();
  const shutdown = new AbortController().signal;
  const scope = { dataSource, savepoint, handler: 'Contracts.handle', shutdown, watchdog };
  return {
    connection,
    savepoint,
    handle: async (work, { timeoutMs = 10_000, shared } = {}) => {
      const notification = new HandlerTransaction({ ...scope, timeoutMs }, shared);
      await notification.run(() => work(notification.manager, notification));
    },
    commit: () => savepoint.leave('commit', 'the server to commit', { ends: true }),
    close: async () => {
      watchdog.stop();
      await connection.release();
    },
  };
}

/**
 * Runs a check in a claim, commits the claim unless its connection is lost, and compares the notes.
 * @callback Check
 * @param {string} name
 * @param {(claim: Claim, dataSource: any) => Promise<unknown>} act
 * @param {string[]} [expected]
 * @returns {Promise<void>}
 */

/** @param {import('./subject.js').Subject} subject @returns {Check} */
export function createClaimCheck(subject) {
  return (name, act, expected = []) =>
    subject.check(name, () =>
      subject.withDataSource({ entities: subject.entities.all }, async (dataSource) => {
        await subject.query('truncate note');
        await runClaim(subject, dataSource, act);
        assert.deepEqual(await subject.notes(), expected);
        const [{ left }] = await dataSource.query('select count(*)::int as left from pg_prepared_statements');
        assert.equal(left, 0, 'expected no prepared statement to be left');
      }),
    );
}

/** @param {import('./subject.js').Subject} subject @param {any} dataSource @param {Parameters<Check>[1]} act */
async function runClaim(subject, dataSource, act) {
  const claim = await beginClaim(subject, dataSource);
  try {
    await act(claim, dataSource);
    if (claim.connection.isLost) return;
    claim.savepoint.assertIntact();
    await claim.commit();
  } finally {
    await claim.close();
  }
}
