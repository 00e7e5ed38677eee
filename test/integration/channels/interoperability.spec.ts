import { randomUUID } from 'node:crypto';
import pg from 'pg';
import superjson, { type SuperJSONResult } from 'superjson';
import { defineChannel, type PayloadCodec } from 'nestjs-pgpubsub';
import { z } from 'zod';
import { describe, expect, it } from 'vitest';
import { collector } from '../../support/listeners.js';
import { Mailbox } from '../../support/mailbox.js';
import { useDatabase } from '../../support/use-database.js';

const database = useDatabase();

async function rawListener(channel: string): Promise<Mailbox<string>> {
  const client = await database.client();
  const texts = new Mailbox<string>();
  client.on('notification', ({ payload }) => texts.push(payload ?? ''));
  await client.query(`listen ${pg.escapeIdentifier(channel)}`);
  return texts;
}

describe('notifications of other clients', () => {
  it('arrive as JSON, as text, or as undefined without a payload', async () => {
    const { provider, received } = collector('orders');
    await using _app = await database.start({ providers: [provider] });
    const client = await database.client();
    for (const text of [`'{"id":1}'`, `'[1, 2]'`, `'42'`, `'null'`, `'not json'`, `'{"id":'`, `''`]) {
      await client.query(`notify orders, ${text}`);
    }
    await client.query('notify orders');

    const payloads = (await received.take(8)).map(({ payload }) => payload);
    expect(payloads).toEqual([{ id: 1 }, [1, 2], 42, null, 'not json', '{"id":', undefined, undefined]);
    const { notification } = received.all[0] ?? expect.fail();
    expect(notification).toMatchObject({
      channel: 'orders',
      id: null,
      attempt: 1,
      createdAt: null,
      context: {},
    });
    expect(notification.processId).toBe((client as unknown as { processID: number }).processID);
  });

  it('are the plain JSON of the payload when this library sends them, in an envelope with a context', async () => {
    await using app = await database.start();
    const texts = await rawListener('orders');
    const payloads = [{ id: 1, name: 'Ünïcode 🎉' }, [1], 'text', 0, false, '', null, undefined, new Date(0)];
    for (const payload of payloads) await app.pubsub.notify('orders', payload);

    const sent = await texts.take(payloads.length);
    expect(sent).toEqual([
      '{"id":1,"name":"Ünïcode 🎉"}',
      '[1]',
      '"text"',
      '0',
      'false',
      '""',
      'null',
      '',
      '"1970-01-01T00:00:00.000Z"',
    ]);
    await app.pubsub.notify('orders', { id: 1 }, { context: { tenant: 'a' } });
    expect(JSON.parse(await texts.next())).toEqual({
      pgpubsub: 1,
      context: { tenant: 'a' },
      payload: { id: 1 },
    });
  });
});

describe('payload values', () => {
  it.each([
    0,
    false,
    '',
    null,
    undefined,
    '{"looks":"like json"}',
    'null',
    { pgpubsub: 1, context: {}, payload: 2 },
  ])('arrive unchanged: %j', async (value) => {
    const { provider, received } = collector('values');
    await using app = await database.start({ providers: [provider] });
    await app.pubsub.notify('values', value);
    expect((await received.next()).payload).toEqual(value);
  });

  it('keep their types through a codec: maps with number keys, sets, dates, bigints, nested values', async () => {
    interface Report {
      totals: Map<number, { seen: Set<string>; at: Date }>;
      largest: bigint;
      none: undefined;
    }
    const codec: PayloadCodec<Report> = {
      encode: (payload) => superjson.serialize(payload),
      decode: (json: SuperJSONResult) => superjson.deserialize(json),
    };
    const Reports = defineChannel<Report>('reports', { codec });
    const { provider, received } = collector(Reports);
    await using app = await database.start({ providers: [provider] });
    const report: Report = {
      totals: new Map([
        [1, { seen: new Set(['a', 'b']), at: new Date(5) }],
        [2, { seen: new Set(), at: new Date(6) }],
      ]),
      largest: 9_007_199_254_740_993n,
      none: undefined,
    };
    await app.pubsub.notify(Reports, report);

    const { payload } = await received.next();
    expect(payload).toStrictEqual(report);
    expect(payload.totals.get(1)?.seen.has('b')).toBe(true);
  });

  it('are validated by the schema when they are sent and when they are received', async () => {
    const Orders = defineChannel('checked_orders', {
      schema: z.object({ id: z.number(), at: z.coerce.date() }),
    });
    const { provider, received } = collector(Orders);
    await using app = await database.start({ providers: [provider] });
    const client = await database.client();
    const bad = app.pubsub.notify(Orders, { id: 'one' } as never);
    await expect(bad).rejects.toMatchObject({ code: 'PAYLOAD_REJECTED' });
    await expect(bad).rejects.toThrow(/channel "checked_orders".*id: .*number/);

    await client.query(`notify checked_orders, '{"id":"two"}'`);
    await client.query(`notify checked_orders, '{"id":3,"at":"2024-01-01T00:00:00Z"}'`);
    expect((await received.next()).payload).toEqual({ id: 3, at: new Date('2024-01-01T00:00:00Z') });
    const line = await app.log.find(({ level }) => level === 'error');
    expect(line.text).toMatch(/Rejected a notification on channel "checked_orders".*id/);
  });
});

describe('channel names', () => {
  const long = `${'ä'.repeat(31)}x`; // 63 bytes
  const names = [
    long,
    'Upper Case',
    'with "quotes"',
    "it's",
    'semi; drop table x',
    '🎉 party',
    'error',
    'end',
    '__proto__',
    'new\nline',
    '$1',
  ];
  it.each(names)('work for sending and receiving: %j', async (name) => {
    const { provider, received } = collector(name);
    await using app = await database.start({ providers: [provider] });
    const texts = await rawListener(name);
    await app.pubsub.notify(name, { name });
    await app.pubsub.notifyMany(name, [1, 2]);

    expect((await received.take(3)).map(({ payload }) => payload)).toEqual([{ name }, 1, 2]);
    expect(await texts.take(3)).toEqual([JSON.stringify({ name }), '1', '2']);
  });

  it.each([
    ['64 bytes', 'x'.repeat(64)],
    ['empty', ''],
    ['with a NUL character', 'a\0b'],
    ['64 bytes of 32 characters', 'ä'.repeat(32)],
  ])('are rejected by every function when they are %s', async (_, name) => {
    await using app = await database.start();
    await expect(app.pubsub.notify(name, 1)).rejects.toMatchObject({ code: 'INVALID_CHANNEL' });
    expect(() => app.pubsub.observe(name)).toThrow(/expected the channel name to be/);
    expect(() => app.pubsub.listen(name)).toThrow(/expected the channel name to be/);
    expect(() => defineChannel(name)).toThrow(/expected the channel name to be/);
    const { provider } = collector(name);
    await expect(database.start({ providers: [provider] })).rejects.toThrow(
      /@Listener\(\) on Collector.receive\(\).*channel name/,
    );
  });
});

describe('broadcast payloads', () => {
  it('have at most 7,999 bytes, and one byte more is rejected', async () => {
    const { provider, received } = collector('large');
    await using app = await database.start({ providers: [provider] });
    const largest = `${'ä'.repeat(3_998)}x`; // with two quotes: 7,999 bytes
    await app.pubsub.notify('large', largest);
    expect((await received.next()).payload).toBe(largest);

    const refused = app.pubsub.notify('large', `${largest}x`);
    await expect(refused).rejects.toMatchObject({ code: 'PAYLOAD_TOO_LARGE' });
    await expect(refused).rejects.toThrow('to be at most 7999 bytes, got 8000. Send an id');
  });

  it('arrive as text when they contain SQL', async () => {
    const { provider, received } = collector('text');
    await using app = await database.start({ providers: [provider] });
    const attempts = [
      `'); drop table users; --`,
      `$1`,
      `\\'; select 1`,
      `{a,b}`,
      `"`,
      `\\`,
      `\u0001`,
      `NULL`,
      randomUUID(),
    ];
    for (const attempt of attempts) await app.pubsub.notify('text', attempt);
    await app.pubsub.notifyMany('text', attempts);

    const payloads = (await received.take(attempts.length * 2)).map(({ payload }) => payload);
    expect(payloads).toEqual([...attempts, ...attempts]);
  });
});
