import { Injectable } from '@nestjs/common';
import { Listener, NonRetryableError, defineChannel, type StoredFilter } from 'nestjs-pgpubsub';
import { beforeAll, beforeEach, expect, it } from 'vitest';
import { TestApp } from '../../support/app.js';
import { Mailbox } from '../../support/mailbox.js';
import { useDatabase } from '../../support/use-database.js';

interface Order {
  readonly id: number;
}

const Orders = defineChannel<Order>('orders', { delivery: 'exactly-once' });
const Other = defineChannel<Order>('other', { delivery: 'exactly-once' });

const broken = { first: true, second: true };
const handled = new Mailbox<string>();

@Injectable()
class Listeners {
  @Listener(Orders, { name: 'first' })
  first({ id }: Order) {
    if (broken.first) throw new NonRetryableError(`first cannot handle ${id}`);
    handled.push(`first ${id}`);
  }

  @Listener(Orders, { name: 'second' })
  second({ id }: Order) {
    if (broken.second) throw new NonRetryableError(`second cannot handle ${id}`);
    handled.push(`second ${id}`);
  }
}

const database = useDatabase();
let app: TestApp;

beforeAll(async () => {
  app = await database.start({ providers: [Listeners], options: { synchronize: true } });
});
beforeEach(async () => {
  await app.pubsub.pause();
  await database.query('truncate pgpubsub_notification, pgpubsub_dead_letter');
  Object.assign(broken, { first: true, second: true });
  handled.all.length = 0;
});

async function drain() {
  await app.pubsub.resume();
  await app.pubsub.recover();
}

const listed = async <T>(items: AsyncIterable<T>): Promise<T[]> => {
  const all: T[] = [];
  for await (const item of items) all.push(item);
  return all;
};

it('pending() lists waiting notifications, oldest first, as they are stored', async () => {
  await app.pubsub.notify(Orders, { id: 1 }, { key: 'k', context: { tenant: 'a' } });
  await app.pubsub.notify(Other, { id: 2 }, { delayMs: 60_000 });
  const [first, second, ...more] = await listed(app.pubsub.stored.pending());

  expect(more).toEqual([]);
  expect(first).toEqual({
    id: expect.stringMatching(/^\d+$/) as unknown,
    channel: 'orders',
    payload: { id: 1 },
    context: { tenant: 'a' },
    key: 'k',
    createdAt: expect.any(Date) as unknown,
    availableAt: expect.any(Date) as unknown,
    attempts: 0,
    handledBy: [],
    lastError: null,
    schemaVersion: null,
  });
  expect(second).toMatchObject({ channel: 'other', payload: { id: 2 }, key: null, context: {} });
  expect((second?.availableAt.getTime() ?? 0) - (second?.createdAt.getTime() ?? 0)).toBeGreaterThan(59_000);
});

it('pending() streams more than one page, and payloads that are too large for a page', async () => {
  const large = 'x'.repeat(100_000) + Math.random().toString();
  await app.pubsub.notifyMany(
    Orders,
    Array.from({ length: 450 }, (_, id) => ({ id })),
  );
  await app.pubsub.notify('orders', { large });

  const all = await listed(app.pubsub.stored.pending());
  expect(all.slice(0, 450).map(({ payload }) => payload)).toEqual(
    Array.from({ length: 450 }, (_, id) => ({ id })),
  );
  expect(all.slice(450).map(({ payload }) => payload)).toEqual([{ large }]);
});

it.each<[string, StoredFilter, number]>([
  ['channel', { channel: Orders }, 2],
  ['channels', { channel: [Orders, 'other'] }, 3],
  ['context', { context: { tenant: 'a' } }, 1],
  ['before', { before: new Date(Date.now() + 3_600_000) }, 3],
  ['a time before all notifications', { before: new Date(0) }, 0],
  ['a listener that has not handled it', { listener: 'first' }, 3],
])('count() and pending() filter by %s', async (_, filter, count) => {
  await app.pubsub.notify(Orders, { id: 1 }, { context: { tenant: 'a' } });
  await app.pubsub.notify(Orders, { id: 2 });
  await app.pubsub.notify(Other, { id: 3 });

  expect(await app.pubsub.stored.count(filter)).toBe(count);
  expect(await listed(app.pubsub.stored.pending(filter))).toHaveLength(count);
});

it('count() finds notifications that were stored before a migration', async () => {
  await database.query('create table migrations (id serial primary key, "timestamp" bigint, name text)');
  await app.pubsub.notify(Orders, { id: 0 });
  for (const name of ['First1', 'Second2', 'Third3']) {
    await database.query('insert into migrations ("timestamp", name) values (1, $1)', [name]);
    await app.pubsub.notify(Orders, { id: 1 });
  }
  expect(await app.pubsub.stored.count({ beforeMigration: 'First1' })).toBe(1);
  expect(await app.pubsub.stored.count({ beforeMigration: 'Third3' })).toBe(3);
  await expect(app.pubsub.stored.count({ beforeMigration: 'Thrid3' })).rejects.toMatchObject({
    code: 'INVALID_ARGUMENT',
    message: expect.stringContaining('Third3') as unknown,
  });
  await database.query('drop table migrations');
});

it('retry() returns a dead letter to its listener alone', async () => {
  broken.second = false;
  await app.pubsub.notify(Orders, { id: 1 });
  await drain();
  const [letter, ...more] = await listed(app.pubsub.stored.deadLetters());
  expect(more).toEqual([]);
  expect(letter).toMatchObject({ channel: 'orders', listener: 'first', payload: { id: 1 }, attempts: 1 });
  expect(letter?.lastError).toContain('first cannot handle 1');
  expect(letter?.diedAt).toBeInstanceOf(Date);
  expect(await app.pubsub.stored.count()).toBe(0);

  broken.first = false;
  expect(await app.pubsub.stored.retry({ id: letter?.id ?? '' })).toBe(1);
  await handled.find((line) => line === 'first 1');
  await app.pubsub.recover();

  expect(handled.all).toEqual(['second 1', 'first 1']);
  expect(await listed(app.pubsub.stored.deadLetters())).toEqual([]);
});

it('retry() returns the dead letters of several listeners in one notification, which can fail again', async () => {
  await app.pubsub.notify(Orders, { id: 1 });
  await drain();
  expect((await listed(app.pubsub.stored.deadLetters())).map(({ listener }) => listener)).toEqual([
    'first',
    'second',
  ]);

  broken.second = false;
  expect(await app.pubsub.stored.retry({ channel: Orders })).toBe(2);
  await handled.find((line) => line === 'second 1');
  await app.pubsub.recover();

  expect((await listed(app.pubsub.stored.deadLetters())).map(({ listener }) => listener)).toEqual(['first']);
  expect(handled.all).toEqual(['second 1']);
});

it('retry() adds the listener to the notification that already waits for another one', async () => {
  await app.pubsub.notify(Orders, { id: 1 });
  await drain();
  await app.pubsub.pause();
  expect(await app.pubsub.stored.retry({ listener: 'second' })).toBe(1);
  expect(await app.pubsub.stored.retry({ listener: 'first' })).toBe(1);
  expect(await app.pubsub.stored.count()).toBe(1);

  Object.assign(broken, { first: false, second: false });
  await drain();
  expect(handled.all.toSorted()).toEqual(['first 1', 'second 1']);
});

it('discard() deletes dead letters, and purge() deletes waiting notifications', async () => {
  await app.pubsub.notifyMany(Orders, [{ id: 1 }, { id: 2 }]);
  await drain();
  expect(await app.pubsub.stored.discard({ listener: 'first' })).toBe(2);
  expect((await listed(app.pubsub.stored.deadLetters())).map(({ listener }) => listener)).toEqual([
    'second',
    'second',
  ]);

  await app.pubsub.pause();
  await app.pubsub.notify(Orders, { id: 3 });
  await app.pubsub.notify(Other, { id: 4 });
  expect(await app.pubsub.stored.purge({ channel: Orders })).toBe(1);
  expect((await listed(app.pubsub.stored.pending())).map(({ channel }) => channel)).toEqual(['other']);
});

it.each([
  ['a call without a filter', undefined, /expected stored\.purge\(\) to get a filter/],
  ['a misspelled filter', { chanel: 'orders' }, /got "chanel"/],
  ['an id that is not a number', { id: 'x' }, /a string of digits/],
  ['an id that is too large for a bigint', { id: '9223372036854775808' }, /a string of digits/],
])('purge() rejects %s', async (_, filter, message) => {
  await expect(app.pubsub.stored.purge(filter as never)).rejects.toThrow(message);
});
