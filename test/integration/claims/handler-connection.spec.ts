import pg from 'pg';
import { from as copyFrom } from 'pg-copy-streams';
import Cursor from 'pg-cursor';
import type { EntityManager } from 'typeorm';
import { afterEach, describe, expect, it } from 'vitest';
import { Orders, clientOf, useHandlerClaims, type Work } from '../../support/handler-claim.js';
import { Mailbox } from '../../support/mailbox.js';

const { runClaim, query, waiting, effects } = useHandlerClaims();
afterEach(() => query('truncate pgpubsub_notification, pgpubsub_dead_letter, effect'));

describe('the connection of a handler', () => {
  it('undoes the writes of a failed handler, in whichever way they were sent', async () => {
    const values = (what: string) => ({ text: 'insert into effect (what) values ($1)', values: [what] });
    const ways: Work[] = [
      async (manager) => (await clientOf(manager)).query(values('object')),
      async (manager) => (await clientOf(manager)).query("insert into effect (what) values ('text')"),
      async (manager) => (await clientOf(manager)).query('insert into effect (what) values ($1)', ['values']),
      async (manager) => {
        const client = await clientOf(manager);
        await new Promise((resolve) => client.query(values('callback'), resolve));
      },
      async (manager) => {
        const cursor = (await clientOf(manager)).query(new Cursor("insert into effect (what) values ('cursor') returning id")); // prettier-ignore
        await cursor.read(10);
        await cursor.close();
      },
      async (manager) => {
        const copy = (await clientOf(manager)).query(copyFrom('copy effect (what) from stdin'));
        await new Promise((resolve) => copy.on('finish', resolve).end('copy\n'));
      },
    ];
    for (const way of ways) {
      const { errors } = await runClaim(async (manager) => {
        await way(manager);
        throw new Error('after its writes');
      });
      expect(errors).toEqual([expect.stringContaining('after its writes')]);
      expect(await effects()).toEqual(['1', '3']);
      await query('truncate pgpubsub_dead_letter, effect');
    }
  });

  it('is closed after the end of the handler', async () => {
    const late: ((client: pg.PoolClient) => unknown)[] = [
      (client) => client.query('select 1'),
      (client) => client.query({ text: 'select $1::int', values: [1] }),
      (client) => new Promise((resolve, reject) => client.query('select 1', (error: unknown) => (error ? reject(error) : resolve(1)))), // prettier-ignore
      (client) => client.query(new Cursor('select 1')).read(1),
    ];
    const kept = new Mailbox<pg.PoolClient>();
    await runClaim(async (manager) => kept.push(await clientOf(manager)));
    const client = await kept.next();
    for (const use of late) await expect((async () => use(client))()).rejects.toThrow(/after its end/);
  });

  it('hides the members of the client that bypass it', async () => {
    const kept = new Mailbox<pg.PoolClient>();
    await runClaim(async (manager) => kept.push(await clientOf(manager)));
    const client = (await kept.next()) as unknown as Record<string, unknown>;
    for (const name of ['connection', '_queryQueue', 'queryQueue', 'activeQuery', '_events', 'native'])
      expect(client[name]).toBeUndefined();
    expect(() => Reflect.apply(pg.Client.prototype.query, client, ['select 1'])).toThrow();
  });
});

describe("a transaction that is ended by pg's own method", () => {
  /** Sends the text by pg's own method on the client in the pool, which no guard sees. */
  const behind =
    (text: string): Work =>
    async (manager) => {
      const [{ pid } = { pid: 0 }] = await manager.query<{ pid: number }[]>('select pg_backend_pid() as pid');
      const { master } = manager.connection.driver as unknown as { master: { _clients: pg.Client[] } };
      const client = master._clients.find(
        (one) => (one as unknown as { processID: number }).processID === pid,
      );
      await client?.query(text);
    };

  it.each(['commit', 'rollback', 'commit; begin', 'rollback; begin; select 1'])(
    'fails the row that ran, after its attempts, and no other: %s',
    async (text) => {
      const { errors, runs } = await runClaim(behind(text), { retry: { maxAttempts: 2, minDelayMs: 1, maxDelayMs: 2 } }); // prettier-ignore
      expect(errors).toHaveLength(1);
      expect(await waiting(Orders)).toEqual([]);
      const handled = await effects();
      expect(handled).toEqual(expect.arrayContaining(['1', '3']));
      expect(runs.filter((run) => run.startsWith('2')).length).toBeLessThanOrEqual(4);
    },
  );
});

it('an entity manager is marked as released after its handler, so that lazy relations take another connection', async () => {
  const kept = new Mailbox<EntityManager>();
  await runClaim((manager) => Promise.resolve(kept.push(manager)));
  const { queryRunner } = await kept.next();
  expect(queryRunner?.isReleased).toBe(true); // TypeORM reads this before it takes another connection
});
