import { type PgPubSubError } from 'nestjs-pgpubsub';
import type { EntityManager } from 'typeorm';
import { beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { TestApp } from '../../support/app.js';
import { collector, payloadsOf } from '../../support/listeners.js';
import { useDatabase } from '../../support/use-database.js';

const database = useDatabase();
let app: TestApp;
const orders = collector('orders');
const others = collector('others');

beforeAll(async () => {
  app = await database.start({ providers: [orders.provider, others.provider] });
});
beforeEach(async () => {
  await settle();
});

/**
 * Waits until all earlier notifications have arrived, and returns them: order is kept, so the mark
 * arrives last.
 */
async function settle(): Promise<unknown[]> {
  const mark = `mark ${Math.random()}`;
  const before = orders.received.all.length - orders.received.untaken.length;
  await app.pubsub.notify('orders', mark);
  await orders.received.find(({ payload }) => payload === mark);
  const arrived = payloadsOf(orders.received.all.slice(before, -1));
  await orders.received.take(orders.received.untaken.length);
  return arrived;
}

describe('notify() in a transaction', () => {
  it('delivers nothing before the commit, and everything after it, in order', async () => {
    const runner = app.dataSource.createQueryRunner();
    await runner.startTransaction();
    await app.pubsub.notify('orders', { id: 1 }, { manager: runner });
    await app.pubsub.notify('orders', { id: 2 }, { manager: runner.manager });
    expect(await settle()).toEqual([]);
    await runner.commitTransaction();
    await runner.release();

    expect(await settle()).toEqual([{ id: 1 }, { id: 2 }]);
  });

  it('delivers nothing when the transaction rolls back', async () => {
    const failing = app.dataSource.transaction(async (manager) => {
      await app.pubsub.notify('orders', { id: 1 }, { manager });
      await app.pubsub.notifyMany('orders', [2, 3], { manager });
      throw new Error('no');
    });
    await expect(failing).rejects.toThrow('no');

    expect(await settle()).toEqual([]);
  });

  it('loses only the notifications of a nested transaction that rolls back', async () => {
    await app.dataSource.transaction(async (manager) => {
      await app.pubsub.notify('orders', 'outer before', { manager });
      const nested = manager.transaction(async (inner) => {
        await app.pubsub.notify('orders', 'inner', { manager: inner });
        throw new Error('no');
      });
      await expect(nested).rejects.toThrow('no');
      await manager.transaction((inner) => app.pubsub.notify('orders', 'inner released', { manager: inner }));
      await app.pubsub.notify('orders', 'outer after', { manager });
    });

    expect(await settle()).toEqual(['outer before', 'inner released', 'outer after']);
  });

  it('sends simultaneous calls in order on the session of the transaction', async () => {
    await app.dataSource.transaction(async (manager) => {
      await Promise.all(
        Array.from({ length: 50 }, (_, id) => app.pubsub.notify('orders', { id }, { manager })),
      );
    });

    expect(await settle()).toEqual(Array.from({ length: 50 }, (_, id) => ({ id })));
  });

  it.each<[string, (sent: unknown, manager: EntityManager) => Promise<void>]>([
    ['a channel name of 64 bytes', (sent, manager) => app.pubsub.notify('x'.repeat(64), sent, { manager })],
    ['a channel name with a NUL character', (sent, manager) => app.pubsub.notify('a\0b', sent, { manager })],
    ['an empty channel name', (sent, manager) => app.pubsub.notify('', sent, { manager })],
    ['a payload of 8,000 bytes', (_, manager) => app.pubsub.notify('orders', 'x'.repeat(7_998), { manager })],
    ['a BigInt', (_, manager) => app.pubsub.notify('orders', { id: 1n }, { manager })],
    [
      'a text with a NUL character',
      (_, manager) => app.pubsub.notify('orders', { text: 'a\0b' }, { manager }),
    ],
    [
      'an invalid payload among valid ones',
      (_, manager) => app.pubsub.notifyMany('orders', [1, Number.NaN, 2], { manager }),
    ],
  ])('rejects %s before any SQL, and the transaction is still usable', async (_, send) => {
    await app.dataSource.transaction(async (manager) => {
      const statements: string[] = [];
      const query = manager.query.bind(manager);
      manager.query = ((sql: string, parameters?: unknown[]) => {
        statements.push(sql);
        return query(sql, parameters);
      }) as typeof manager.query;

      await expect(send('x', manager)).rejects.toMatchObject({ name: 'PgPubSubError' });
      expect(statements).toEqual([]);
      await app.pubsub.notify('orders', 'still here', { manager });
    });

    expect(await settle()).toEqual(['still here']);
  });

  it('accepts any object with query(), an EntityManager and a DataSource', async () => {
    await app.pubsub.notify('orders', 'data source', { manager: app.dataSource });
    await app.pubsub.notify('orders', 'manager', { manager: app.dataSource.manager });
    const query = (sql: string, parameters?: unknown[]) => app.dataSource.query<unknown>(sql, parameters);
    await app.pubsub.notify('orders', 'anything', { manager: { query } });

    expect(await settle()).toEqual(['data source', 'manager', 'anything']);
  });

  it('rejects another `manager` with the expected types', async () => {
    const nothing = app.pubsub.notify('orders', 1, { manager: {} as EntityManager });
    await expect(nothing).rejects.toThrow(/expected "manager" to be an EntityManager.*got an object/);
    await expect(nothing).rejects.toMatchObject({
      code: 'INVALID_ARGUMENT',
    } satisfies Partial<PgPubSubError>);
  });
});

describe('notify() outside of transactions', () => {
  it('delivers identical payloads of separate calls, sequential and simultaneous', async () => {
    await app.pubsub.notify('orders', 'same');
    await app.pubsub.notify('orders', 'same');
    await Promise.all(Array.from({ length: 30 }, () => app.pubsub.notify('orders', 'same')));

    expect(await settle()).toEqual(Array.from({ length: 32 }, () => 'same'));
  });

  it('shares statements among simultaneous calls, and keeps their order over channels', async () => {
    const statements = await statementsDuring(async () => {
      await Promise.all(
        Array.from({ length: 200 }, (_, id) => app.pubsub.notify(id % 2 === 0 ? 'orders' : 'others', { id })),
      );
    });

    expect(statements).toBeLessThanOrEqual(3);
    expect(await settle()).toEqual(Array.from({ length: 100 }, (_, index) => ({ id: index * 2 })));
    await app.pubsub.notify('others', 'end');
    await others.received.find(({ payload }) => payload === 'end');
    const odd = others.received.all.slice(0, -1).map(({ payload }) => payload);
    expect(odd).toEqual(Array.from({ length: 100 }, (_, index) => ({ id: index * 2 + 1 })));
  });

  it('rejects only the invalid call among simultaneous ones', async () => {
    const results = await Promise.allSettled([
      app.pubsub.notify('orders', 1),
      app.pubsub.notify('orders', { big: 'x'.repeat(8_000) }),
      app.pubsub.notify('orders', 3),
    ]);

    expect(results.map(({ status }) => status)).toEqual(['fulfilled', 'rejected', 'fulfilled']);
    expect(await settle()).toEqual([1, 3]);
  });

  it('sends all payloads of notifyMany() in one statement', async () => {
    const statements = await statementsDuring(() =>
      app.pubsub.notifyMany('orders', new Set(['a', 'b', 'c'])),
    );
    expect(statements).toBe(1);
    await app.pubsub.notifyMany('orders', []);
    await expect(app.pubsub.notifyMany('orders', ['d', 1n])).rejects.toMatchObject({
      code: 'INVALID_PAYLOAD',
    });
    await expect(app.pubsub.notifyMany('orders', 5 as never)).rejects.toMatchObject({
      code: 'INVALID_ARGUMENT',
    });

    expect(await settle()).toEqual(['a', 'b', 'c']);
  });

  it('rejects unknown options, because a misspelled `manager` would send outside of the transaction', async () => {
    const misspelt = app.pubsub.notify('orders', 1, { manger: app.dataSource.manager } as never);
    await expect(misspelt).rejects.toThrow(/known options for notify\(\) \(manager, .*got "manger"/);
    await expect(app.pubsub.notify('orders', 1, app.dataSource.manager as never)).rejects.toMatchObject({
      code: 'INVALID_ARGUMENT',
    });
    await expect(app.pubsub.notify('orders', 1, { context: 'abc' as never })).rejects.toMatchObject({
      code: 'INVALID_ARGUMENT',
    });
  });

  it('rejects options that only exactly-once channels have', async () => {
    for (const option of [{ key: 'a' }, { delayMs: 5 }, { availableAt: new Date() }]) {
      await expect(app.pubsub.notify('orders', 1, option)).rejects.toMatchObject({
        code: 'INVALID_ARGUMENT',
      });
    }
  });
});

describe('the context of a notification', () => {
  it('arrives with the payload; members of the call take precedence over those of the module', async () => {
    const plain = collector('with_context');
    const wanted = collector('with_context', { filter: { context: { tenant: 'b' } } });
    await using own = await database.start({
      providers: [plain.provider, wanted.provider],
      options: { context: () => ({ tenant: 'a', trace: 1 }) },
    });
    await own.pubsub.notify('with_context', undefined);
    await own.pubsub.notify('with_context', [1], { context: { tenant: 'b' } });

    const [first, second] = await plain.received.take(2);
    expect([first?.payload, first?.notification.context]).toEqual([undefined, { tenant: 'a', trace: 1 }]);
    expect([second?.payload, second?.notification.context]).toEqual([[1], { tenant: 'b', trace: 1 }]);
    expect(payloadsOf([await wanted.received.next()])).toEqual([[1]]);
    expect(wanted.received.untaken).toEqual([]);
  });
});

/** The number of statements that the manager of the DataSource runs. */
async function statementsDuring(work: () => Promise<void>): Promise<number> {
  const { manager } = app.dataSource;
  const query = manager.query.bind(manager);
  let statements = 0;
  manager.query = ((sql: string, parameters?: unknown[]) => {
    statements++;
    return query(sql, parameters);
  }) as typeof manager.query;
  await work();
  manager.query = query;
  return statements;
}
