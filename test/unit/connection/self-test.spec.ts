import { describe, expect, it } from 'vitest';
import type { SqlExecutor } from '../../../lib/common/sql-executor.js';
import type { ListenClient } from '../../../lib/connection/listen-client.js';
import { SelfTest } from '../../../lib/connection/self-test.js';

interface Place {
  pid: string;
  database: string;
  server: string;
  standby: string;
}

const HERE: Place = { pid: '7', database: 'shop', server: '2024-01-01', standby: 'false' };

/** A session that listens at `place` and received the process id 7 when it connected. */
const sessionAt = (place: Place, ended: Promise<unknown> = new Promise(() => undefined)): ListenClient =>
  ({ processId: 7, ended, identify: () => Promise.resolve(place) }) as unknown as ListenClient;

/** A pool at `place` that hands its notifications to `send`. */
const poolAt = (place: Place, send: (parameters: unknown[]) => void = () => undefined): SqlExecutor => ({
  query: (_sql, parameters) => {
    if (parameters === undefined) return Promise.resolve([place]);
    send(parameters);
    return Promise.resolve([]);
  },
});

/** How long the test waits for its notification. */
const TIMEOUT_MS = 20;

const faultOf = (session: ListenClient, pool: SqlExecutor): Promise<string | undefined> =>
  new SelfTest(() => pool, TIMEOUT_MS).findFault(session);

describe('SelfTest', () => {
  it('finds no fault when its notification arrives', async () => {
    const pool = poolAt(HERE, ([, token]) => queueMicrotask(() => test.receive(String(token))));
    const test = new SelfTest(() => pool, TIMEOUT_MS);
    await expect(test.findFault(sessionAt(HERE))).resolves.toBeUndefined();
  });

  it('ignores the notification of another self-test', async () => {
    const pool = poolAt(HERE, () => test.receive('another token'));
    const test = new SelfTest(() => pool, TIMEOUT_MS);
    await expect(test.findFault(sessionAt(HERE))).resolves.toContain('did not arrive in time');
  });

  it.each<[string, Partial<Place>, Partial<Place>, string]>([
    ['a transaction pooler', { pid: '8' }, {}, 'goes through a transaction pooler (such as PgBouncer)'],
    ['another database', { database: 'test' }, {}, 'is in the database "test", the DataSource in "shop"'],
    ['a standby', { standby: 'true' }, {}, 'at a standby (replica)'],
    ['a standby as the sender', {}, { standby: 'true' }, 'at a standby (replica)'],
    ['another server', { server: '2023-01-01' }, {}, 'are at different servers'],
    ['no visible cause', {}, {}, 'The server may be overloaded'],
  ])('names the likely cause: %s', async (_, listener, pool, sentence) => {
    await expect(
      faultOf(sessionAt({ ...HERE, ...listener }), poolAt({ ...HERE, ...pool })),
    ).resolves.toContain(sentence);
  });

  it('reports why its notification could not be sent', async () => {
    const rejecting = { query: () => Promise.reject(new Error('read-only')) };
    await expect(faultOf(sessionAt(HERE), rejecting)).resolves.toBe(
      'the test notification could not be sent: read-only',
    );
    const throwing = {
      query: () => {
        throw new Error('destroyed');
      },
    };
    await expect(faultOf(sessionAt(HERE), throwing)).resolves.toBe(
      'the test notification could not be sent: destroyed',
    );
  });

  it('finds no fault of a session that has ended, and does not wait for an exhausted pool', async () => {
    await expect(faultOf(sessionAt(HERE, Promise.resolve('over')), poolAt(HERE))).resolves.toBeUndefined();
    const exhausted = { query: () => new Promise(() => undefined) };
    await expect(faultOf(sessionAt(HERE), exhausted)).resolves.toContain('Its pool may be exhausted');
  });
});
