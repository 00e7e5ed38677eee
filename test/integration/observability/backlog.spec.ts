import { beforeEach, expect, it } from 'vitest';
import { findBacklog, type BacklogScope } from '../../../lib/observability/backlog.js';
import { useStored } from '../../support/stored.js';

const { database, query } = useStored();

beforeEach(async () => {
  await query('truncate pgpubsub_notification, pgpubsub_dead_letter');
});

async function backlog(question: Partial<BacklogScope> = {}) {
  const client = await database.client();
  const executor = {
    query: async (sql: string, values?: unknown[]) => (await client.query(sql, values)).rows,
  };
  return findBacklog(executor, { schema: 'public', countUpTo: null, ...question });
}

/** Stores notifications of a channel with these ages in seconds. */
const store = (channel: string, count: number, { storedAgo = 0, dueAgo = 0, attempts = 0 } = {}) =>
  query(
    `insert into pgpubsub_notification (channel, payload, attempts, created_at, available_at)
      select $1, '{}', $3, clock_timestamp() - $4::float8 * interval '1 s', clock_timestamp() - $5::float8 * interval '1 s'
      from generate_series(1, $2)`,
    [channel, count, attempts, storedAgo, dueAgo],
  );

const bury = (channel: string, count: number) =>
  query(
    `insert into pgpubsub_dead_letter (id, channel, payload, listener) select n, $1, '{}', 'A.b' from generate_series(1, $2) as n
      on conflict do nothing`,
    [channel, count],
  );

it('findBacklog() returns an empty list for empty tables', async () => {
  expect(await backlog()).toEqual([]);
});

it('findBacklog() counts waiting, due, retried and dead notifications by channel', async () => {
  await store('orders', 2, { storedAgo: 100, dueAgo: 30 });
  await store('orders', 3, { storedAgo: 200, dueAgo: -600, attempts: 1 });
  await store('billing', 1, { storedAgo: 10, dueAgo: -600 });
  await bury('orders', 4);

  const [billing, orders, ...more] = await backlog();
  expect(more).toEqual([]);
  expect(billing).toMatchObject({
    channel: 'billing',
    waiting: 1,
    due: 0,
    retrying: 0,
    overdueMs: 0,
    dead: 0,
  });
  expect(orders).toMatchObject({ channel: 'orders', waiting: 5, due: 2, retrying: 3, dead: 4 });
  expect(billing?.oldestAgeMs).toBeGreaterThanOrEqual(10_000);
  expect(billing?.oldestAgeMs).toBeLessThan(40_000);
  expect(orders?.oldestAgeMs).toBeGreaterThanOrEqual(200_000);
  expect(orders?.oldestAgeMs).toBeLessThan(230_000);
  expect(orders?.overdueMs).toBeGreaterThanOrEqual(30_000);
  expect(orders?.overdueMs).toBeLessThan(60_000);
});

it('findBacklog() returns whole milliseconds, and no notification is overdue for longer than it is stored', async () => {
  await store('orders', 1, { storedAgo: 5, dueAgo: 600 });

  const [orders] = await backlog();
  expect(orders?.oldestAgeMs).toSatisfy(Number.isInteger);
  expect(orders?.overdueMs).toBe(orders?.oldestAgeMs);
});

it('findBacklog() includes channels that only have dead letters', async () => {
  await store('orders', 1);
  await bury('billing', 2);

  expect(await backlog()).toMatchObject([
    { channel: 'billing', waiting: 0, due: 0, oldestAgeMs: null, overdueMs: 0, dead: 2 },
    { channel: 'orders', waiting: 1, dead: 0 },
  ]);
});

it('findBacklog() finds every channel between others', async () => {
  const names = ['a', 'aa', 'b', 'c', 'Z', 'z', 'ä'];
  for (const name of names) await store(name, 2);
  expect((await backlog()).map(({ channel }) => channel).toSorted()).toEqual(names.toSorted());
});

it('findBacklog() counts up to the limit, and still returns for how long the first row has been due', async () => {
  await store('orders', 50, { storedAgo: 5, dueAgo: 5 });
  await store('orders', 1, { storedAgo: 1_000, dueAgo: 1_000 });
  await store('billing', 3);
  await bury('orders', 20);

  const [billing, orders] = await backlog({ countUpTo: 10 });
  expect(billing).toMatchObject({ waiting: 3, due: 3 });
  expect(orders).toMatchObject({ waiting: 10, due: 10, dead: 10 });
  expect(orders?.overdueMs).toBeGreaterThanOrEqual(1_000_000);
});

it('findBacklog() applies a condition to both tables', async () => {
  await store('orders', 2);
  await store('billing', 3);
  await bury('orders', 1);
  await bury('billing', 1);

  const condition = { sql: 'n.channel = $2', parameters: ['orders'] };
  const found = (await backlog({ condition })).filter(({ waiting, dead }) => waiting + dead > 0);
  expect(found).toMatchObject([{ channel: 'orders', waiting: 2, dead: 1 }]);
});
