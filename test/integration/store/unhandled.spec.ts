import { Injectable } from '@nestjs/common';
import { Listener, defineChannel } from 'nestjs-pgpubsub';
import { DataSource } from 'typeorm';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { LiveListeners } from '../../../lib/store/live-listeners.js';
import { StoredNotifications } from '../../../lib/store/stored-notifications.js';
import type { TestApp } from '../../support/app.js';
import { Mailbox, eventually } from '../../support/mailbox.js';
import { range, useStored } from '../../support/stored.js';

/**
 * Rows of listeners that no process has would wait indefinitely, and on an ordered channel they
 * would block their key.
 */

const Orders = defineChannel<{ n: number }>('orders', { delivery: 'exactly-once', ordered: true });

const handled = new Mailbox<number>();

@Injectable()
class Listeners {
  @Listener(Orders, { name: 'ship' })
  ship({ n }: { n: number }) {
    handled.push(n);
  }
}

const { start, database, query, waiting, deadLetters } = useStored();

/** Reports a process as the processes of an application do. */
const report = (instance: string, listeners: unknown, ageSeconds = 0) =>
  query(
    `insert into pgpubsub_process (instance, listeners, seen_at) values ($1, $2::jsonb, clock_timestamp() - $3::float8 * interval '1 second')
      on conflict (instance) do update set listeners = excluded.listeners, seen_at = excluded.seen_at`,
    [instance, JSON.stringify(listeners), ageSeconds],
  );

/** Adds a dead letter of "orders" with an unused id. */
const bury = (listener: string, n = 0) =>
  query(
    `insert into pgpubsub_dead_letter (id, channel, payload, key, listener)
      values (1000000 + $2::int, 'orders', json_build_object('n', $2::int), 'Ada', $1)`,
    [listener, n],
  );

const store = (listeners: readonly string[] | null) =>
  query(
    `insert into pgpubsub_notification (channel, payload, key, listeners) values ('orders', '{"n":0}', 'Ada', $1)`,
    [listeners],
  );

beforeEach(async () => {
  handled.all.length = 0;
  await query('truncate pgpubsub_notification, pgpubsub_dead_letter, pgpubsub_process');
});

describe('a retry in an application', () => {
  let app: TestApp;
  beforeEach(async () => {
    app = await start({ providers: [Listeners] });
    await report('another', {});
  });
  afterEach(() => app.close());

  it('leaves a dead letter whose listener no process has, emits an event, and does not stop its key', async () => {
    const refused = new Mailbox<object>();
    app.pubsub.events$.subscribe((event) => event.type === 'retry-refused' && refused.push(event));
    await bury('Gone.ship', 1);
    await bury('Gone.ship', 2);
    await bury('ship', 3);

    expect(await app.pubsub.stored.retry({})).toBe(1);

    expect(refused.all).toEqual([
      { type: 'retry-refused', channel: 'orders', listener: 'Gone.ship', count: 2 },
    ]);
    expect((await deadLetters(Orders)).map(({ listener }) => listener)).toEqual(['Gone.ship', 'Gone.ship']);
    await app.pubsub.notify(Orders, { n: 4 }, { key: 'Ada' });
    await eventually(() => handled.all.length === 2, 'the retried letter and the notification are handled');
    expect(new Set(handled.all)).toEqual(new Set([3, 4]));
  });

  it('takes a dead letter whose listener another process has', async () => {
    await report('another', { orders: ['elsewhere'], ['__proto__']: ['elsewhere'] });
    await bury('elsewhere');
    expect(await app.pubsub.stored.retry({ channel: Orders })).toBe(1);
    expect((await waiting(Orders)).length).toBe(1);
  });

  it.each([
    ['has not been seen for a minute', { orders: ['elsewhere'] }, 61],
    ['has the listener on another channel', { invoices: ['elsewhere'] }, 0],
    ['reports its listeners as a text', { orders: 'elsewhere' }, 0],
    ['reports a list without channels', ['elsewhere'], 0],
  ])('leaves a dead letter whose only process %s', async (_, listeners, ageSeconds) => {
    await report('yet another', listeners, ageSeconds);
    await bury('elsewhere');
    expect(await app.pubsub.stored.retry({})).toBe(0);
    expect((await deadLetters(Orders)).length).toBe(1);
  });

  it('emits no event for dead letters outside of its filter', async () => {
    const refused = new Mailbox<object>();
    app.pubsub.events$.subscribe((event) => event.type === 'retry-refused' && refused.push(event));
    await bury('Gone.ship');
    expect(await app.pubsub.stored.retry({ listener: 'ship', context: {}, before: new Date() })).toBe(0);
    expect(refused.all).toEqual([]);
  });
});

describe('a retry without a known process', () => {
  let dataSource: DataSource;
  const stored = (role?: string) => {
    const extra = role === undefined ? {} : { extra: { options: `-c role=${role}` } };
    dataSource = new DataSource({ type: 'postgres', url: database.url, ...extra });
    const storage = { schema: 'public', migrationsSchema: 'public', migrationsTable: 'migrations' };
    return dataSource
      .initialize()
      .then(() => new StoredNotifications({ dataSource, storage: () => storage, nameOf: String }));
  };
  afterEach(() => dataSource.destroy());

  it('takes all dead letters', async () => {
    await report('another', {}, 61);
    await bury('Gone.ship');
    expect(await (await stored()).retry({})).toBe(1);
  });

  it('takes all dead letters when it may not read the table of processes', async () => {
    const role = `retrying_${database.name}`;
    await query(`create role ${role}`);
    await query(
      `grant select, insert, update, delete on pgpubsub_notification, pgpubsub_dead_letter to ${role}`,
    );
    try {
      await report('another', {});
      await bury('Gone.ship');
      expect(await (await stored(role)).retry({})).toBe(1);
    } finally {
      await query(`drop owned by ${role}`);
      await query(`drop role ${role}`);
    }
  });
});

describe('status()', () => {
  it('reports the listeners with waiting rows that no process has', async () => {
    await using app = await start({ providers: [Listeners] });
    await app.pubsub.pause();
    await report('another', { orders: ['elsewhere'] });
    await store(null);
    await store(['ship']);
    await store(['elsewhere']);
    await expect(app.pubsub.status()).resolves.toMatchObject({ health: 'up', reasons: [] });

    await store(['elsewhere', 'Gone.ship']);
    await store(['Gone.ship']);

    await expect(app.pubsub.status()).resolves.toMatchObject({
      health: 'degraded',
      reasons: ['"orders": 2 stored notifications for the listener Gone.ship, which no running process has'],
    });
  });

  it('ignores listeners that have handled the row', async () => {
    await using app = await start({ providers: [Listeners] });
    await app.pubsub.pause();
    await report('another', {});
    await store(['Gone.ship', 'ship']);
    await query(`update pgpubsub_notification set handled_by = '{Gone.ship}'`);

    await expect(app.pubsub.status()).resolves.toMatchObject({ health: 'up' });
  });
});

it('findUnhandled() reads a limited number of rows of a channel', async () => {
  await report('another', {});
  for (const _ of range(3)) await store(['Gone.ship']);
  const client = await database.client();
  const executor = {
    query: async (sql: string, values: unknown[] = []) => (await client.query(sql, values)).rows,
  };

  const live = await LiveListeners.find(executor, 'public');
  const found = await live?.findUnhandled(executor, { schema: 'public', channels: ['orders'], countUpTo: 2 });

  expect(found).toEqual([{ channel: 'orders', listener: 'Gone.ship', count: 2 }]);
});
