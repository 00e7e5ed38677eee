import { defineChannel } from 'nestjs-pgpubsub';
import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from 'vitest';
import { z } from 'zod';
import type { TestApp } from '../../support/app.js';
import { collector } from '../../support/listeners.js';
import { Mailbox } from '../../support/mailbox.js';
import { range, recordStatements, useStored } from '../../support/stored.js';

const { start, query, waiting, settled, database } = useStored();

const Orders = defineChannel<unknown>('orders', { delivery: 'exactly-once' });
const Invoices = defineChannel<unknown>('invoices', { delivery: 'exactly-once' });
const Polled = defineChannel<unknown>('polled', { delivery: 'exactly-once', wake: 'poll' });
const News = defineChannel<unknown>('news');

let app: TestApp;
/** Hints and broadcasts, as another client receives them. */
const heard = new Mailbox<string>();
beforeAll(async () => {
  app = await start({ channels: [Orders, Invoices, Polled], options: { listen: false } });
  const client = await database.client();
  client.on('notification', ({ channel, payload }) => heard.push(`${channel} ${payload}`));
  await client.query('listen pgpubsub; listen news');
});
afterAll(() => app.close());
afterEach(async () => {
  vi.restoreAllMocks();
  await query('truncate pgpubsub_notification');
  await hints(); // removes the hints of this test
  heard.all.length = 0;
});

/** Returns the hints up to now: a mark arrives after all of them. */
async function hints(): Promise<string[]> {
  const mark = `news "${Math.random()}"`;
  await query('select pg_notify($1, $2)', ['news', mark.slice(5)]);
  await heard.find((text) => text === mark);
  return heard.all.filter((text) => !text.startsWith('news "'));
}

const payloads = async (channel = Orders) => (await waiting(channel)).map(({ payload }) => payload);

describe('notify() in a transaction', () => {
  it('stores nothing that others see before the commit, and nothing at all after a rollback', async () => {
    await app.dataSource.transaction(async (manager) => {
      await app.pubsub.notify(Orders, 1, { manager });
      await app.pubsub.notifyMany(Orders, [2, 3], { manager: manager.queryRunner });
      expect(await payloads()).toEqual([]);
    });
    const failing = app.dataSource.transaction(async (manager) => {
      await app.pubsub.notify(Orders, 'lost', { manager });
      await app.pubsub.notifyMany(Orders, ['lost', 'lost'], { manager });
      throw new Error('no');
    });
    await expect(failing).rejects.toThrow('no');
    expect(await payloads()).toEqual([1, 2, 3]);
    expect(await hints()).toEqual(['pgpubsub orders']);
  });

  it('loses the notifications that were stored after a savepoint when it rolls back', async () => {
    await app.dataSource.transaction(async (manager) => {
      await app.pubsub.notify(Orders, 'outer', { manager });
      const nested = manager.transaction(async (inner) => {
        await app.pubsub.notify(Orders, 'inner', { manager: inner });
        throw new Error('no');
      });
      await expect(nested).rejects.toThrow('no');
      await app.pubsub.notify(Orders, 'after', { manager });
    });
    expect(await payloads()).toEqual(['outer', 'after']);
  });

  it('sends one hint per transaction and channel, and none for channels that are polled', async () => {
    await app.dataSource.transaction(async (manager) => {
      for (const id of range(5)) {
        await app.pubsub.notify(Orders, id, { manager });
        await app.pubsub.notify(Invoices, id, { manager });
        await app.pubsub.notify(Polled, id, { manager });
      }
    });
    expect(await hints()).toEqual(['pgpubsub orders', 'pgpubsub invoices']);
    expect(await payloads(Polled)).toEqual(range(5));
    await app.pubsub.notifyMany(Polled, range(5));
    expect(await hints()).toHaveLength(2);
  });

  it('keeps the order of calls, over both deliveries and several channels', async () => {
    await app.dataSource.transaction(async (manager) => {
      const calls = range(20).map((id) =>
        app.pubsub.notify([Orders, News, Invoices][id % 3] ?? News, id, { manager }),
      );
      await Promise.all(calls);
    });
    const rows = await query<{ payload: number }>('select payload from pgpubsub_notification order by id');
    expect(rows.map(({ payload }) => payload)).toEqual(range(20).filter((id) => id % 3 !== 1));
    const broadcasts = (await hints()).filter((text) => text.startsWith('news'));
    expect(broadcasts).toEqual(range(20).filter((id) => id % 3 === 1).map((id) => `news ${id}`)); // prettier-ignore
  });
});

describe('a stored notification', () => {
  it('contains the payload with its key, time and context', async () => {
    const at = new Date(Date.now() + 3_600_000);
    const before = Date.now();
    await app.pubsub.notify(Orders, { a: [1, 'ä', null] }, { key: 'k', availableAt: at, context: { tenant: 'a' } }); // prettier-ignore
    await app.pubsub.notify(Orders, 'late', { delayMs: 3_600_000 });
    const [first, second] = await waiting(Orders);
    expect(first).toMatchObject({
      payload: { a: [1, 'ä', null] }, key: 'k', available_at: at, context: { tenant: 'a' }, attempts: 0, handled_by: [], last_error: null,
    }); // prettier-ignore
    expect(second).toMatchObject({ key: null, context: null });
    const delay = Number(second?.available_at.getTime()) - before;
    expect(delay).toBeGreaterThanOrEqual(3_600_000 - 1);
    expect(delay).toBeLessThan(3_600_000 + 10_000);
  });

  it('has the options of its notifyMany() call, and its own place in the order', async () => {
    await app.pubsub.notifyMany(Orders, range(2_500), { key: 'k', context: { a: 1 } });
    await app.pubsub.notifyMany(Orders, []);
    const rows = await waiting(Orders);
    expect(rows.map(({ payload }) => payload)).toEqual(range(2_500));
    expect(new Set(rows.map(({ key, context }) => JSON.stringify([key, context]))).size).toBe(1);
  });

  it.each<[string, unknown, string | null]>([
    ['undefined', undefined, null],
    ['null', null, 'null'],
    ['0', 0, '0'],
    ['false', false, 'false'],
    ['an empty text', '', '""'],
    ['a text with the characters of SQL and separators', `'"\\\u0001 \u2028$1`, null],
  ])('keeps %s as it is', async (_, payload, expected) => {
    await app.pubsub.notifyMany(Orders, [payload, payload]);
    const sql = 'select payload::text as text, payload from pgpubsub_notification';
    const rows = await query<{ text: string | null; payload: unknown }>(sql);
    expect(rows).toHaveLength(2);
    for (const row of rows) expect(row.payload).toEqual(payload ?? null);
    if (expected !== null || payload === undefined) expect(rows.map(({ text }) => text)).toEqual([expected, expected]); // prettier-ignore
  });

  it('can have a payload of 20 MB', async () => {
    const text = 'ä'.repeat(10_000_000);
    const others = range(20).map((id) => app.pubsub.notify(Orders, id));
    await Promise.all([app.pubsub.notify(Orders, text), ...others]);
    const [row] = await query<{ bytes: number }>(
      "select max(octet_length(payload::text)) as bytes from pgpubsub_notification where channel = 'orders'",
    );
    expect(row?.bytes).toBe(20_000_002);
    expect(await payloads()).toHaveLength(21);
  });

  it('carries the context of the module and of the transaction', async () => {
    await using tenant = await start({
      channels: [Orders],
      options: { listen: false, context: () => ({ tenant: 'a', trace: 1 }) },
    });
    await tenant.pubsub.notify(Orders, 1, { context: { trace: 2 } });
    await tenant.pubsub.withContext({ user: 3 }, (manager) => tenant.pubsub.notify(Orders, 2, { manager }));
    expect((await waiting(Orders)).map(({ context }) => context)).toEqual([
      { tenant: 'a', trace: 2 },
      { tenant: 'a', trace: 1, user: 3 },
    ]);
  });

  it('contains the result of the codec, after the schema has accepted the payload', async () => {
    const Ids = defineChannel<Set<number>>('ids', {
      delivery: 'exactly-once',
      schema: z.set(z.number()).refine(async (ids) => (await Promise.resolve(ids.size)) > 0),
      codec: { encode: (ids) => [...ids], decode: (json) => new Set(json as number[]) },
    });
    const sent = recordStatements();
    await expect(app.pubsub.notify(Ids, new Set())).rejects.toMatchObject({ code: 'PAYLOAD_REJECTED' });
    await expect(app.pubsub.notifyMany(Ids, [new Set([1]), new Set(['x' as never])])).rejects.toMatchObject({
      code: 'PAYLOAD_REJECTED',
    });
    expect(sent).toEqual([]);
    await app.pubsub.notify(Ids, new Set([1, 2]));
    expect(await payloads(Ids)).toEqual([[1, 2]]);
  });
});

describe('the check of arguments before any SQL', () => {
  const cycle: Record<string, unknown> = {};
  cycle['self'] = cycle;

  it.each<[string, unknown, object, string]>([
    ['a key that is not a text', 1, { key: 1 }, 'INVALID_ARGUMENT'],
    ['a key with a NUL character', 1, { key: 'a\0' }, 'INVALID_ARGUMENT'],
    ['a key that is too long for an index', 1, { key: 'ä'.repeat(501) }, 'INVALID_ARGUMENT'],
    ['an invalid Date', 1, { availableAt: new Date(NaN) }, 'INVALID_ARGUMENT'],
    ['a time as a text', 1, { availableAt: '2030-01-01' }, 'INVALID_ARGUMENT'],
    ['a time after the last one of PostgreSQL', 1, { availableAt: new Date(8.64e15) }, 'INVALID_ARGUMENT'],
    ['a time before the first one of PostgreSQL', 1, { availableAt: new Date(-8.64e15) }, 'INVALID_ARGUMENT'],
    ['a negative delay', 1, { delayMs: -1 }, 'INVALID_ARGUMENT'],
    ['an infinite delay', 1, { delayMs: Infinity }, 'INVALID_ARGUMENT'],
    ['a delay that is not a number', 1, { delayMs: NaN }, 'INVALID_ARGUMENT'],
    ['a delay and a time', 1, { delayMs: 1, availableAt: new Date() }, 'INVALID_ARGUMENT'],
    ['an unknown option', 1, { delay: 1 }, 'INVALID_ARGUMENT'],
    ['a context that is not an object', 1, { context: [1] }, 'INVALID_ARGUMENT'],
    ['half a surrogate pair in the context', 1, { context: { name: '\ud800' } }, 'INVALID_PAYLOAD'],
    ['a NUL character in the context', 1, { context: { a: '\0' } }, 'INVALID_PAYLOAD'],
    ['a NUL character in the payload', 'a\0', {}, 'INVALID_PAYLOAD'],
    ['a bigint', { id: 1n }, {}, 'INVALID_PAYLOAD'],
    ['a cycle', cycle, {}, 'INVALID_PAYLOAD'],
    ['a function', () => 1, {}, 'INVALID_PAYLOAD'],
  ])('rejects %s, and the transaction continues', async (_, payload, options, code) => {
    await app.dataSource.transaction(async (manager) => {
      const refused = app.pubsub.notifyMany(Orders, [1, payload], { manager, ...options });
      await expect(refused).rejects.toMatchObject({ code });
      await app.pubsub.notify(Orders, 'goes on', { manager });
    });
    expect(await payloads()).toEqual(['goes on']);
  });

  it('accepts half a surrogate pair in the payload, which json can store and jsonb cannot', async () => {
    await app.pubsub.notify(Orders, { name: '\ud800' }); // as JSON writes it
    const rows = await query<{ text: string }>('select payload::text as text from pgpubsub_notification');
    expect(rows).toEqual([{ text: '{"name":"\\ud800"}' }]);
  });
});

describe('simultaneous calls of notify()', () => {
  const inserts = (sent: readonly { text: string }[]) =>
    sent.filter(({ text }) => text.includes('insert into') && text.includes('pgpubsub_notification'));

  it('share statements', async () => {
    const sent = recordStatements();
    await Promise.all(range(500).map((id) => app.pubsub.notify(Orders, id)));
    expect(inserts(sent).length).toBeLessThanOrEqual(5);
    expect(await payloads()).toEqual(range(500));
  });

  it('fail alone when the server rejects one', async () => {
    await query(`create function refuse() returns trigger language plpgsql as $$ begin
      if new.payload::text = '"refused"' then raise exception 'refused by the server'; end if; return new; end $$`);
    await query(
      'create trigger refuse before insert on pgpubsub_notification for each row execute function refuse()',
    );
    try {
      const given = [1, 2, 'refused', 3, 'refused', 4];
      const results = await Promise.allSettled(given.map((payload) => app.pubsub.notify(Orders, payload)));
      expect(results.map(({ status }) => status)).toEqual(
        given.map((payload) => (payload === 'refused' ? 'rejected' : 'fulfilled')),
      );
      expect(await payloads()).toEqual([1, 2, 3, 4]);
    } finally {
      await query('drop function refuse cascade');
    }
  });
});

it('a stored notification arrives with its id, context, time, process and payload', async () => {
  const { provider, received } = collector(Orders);
  await using listening = await start({ providers: [provider] });
  const started = Date.now();
  await listening.pubsub.notifyMany(Orders, [0, undefined, null, '', false], { context: { a: 1 } });
  const all = (await received.take(5)).map(({ notification }) => notification);
  expect(all.map(({ payload }) => payload)).toEqual([0, undefined, null, '', false]);
  for (const { context, channel, attempt, id, createdAt, processId } of all) {
    expect([channel, context, attempt]).toEqual(['orders', { a: 1 }, 1]);
    expect(id).toMatch(/^\d+$/);
    expect(Math.abs(Number(createdAt?.getTime()) - started)).toBeLessThan(60_000);
    expect(processId).toBeGreaterThan(0);
  }
  await settled(Orders);
});
