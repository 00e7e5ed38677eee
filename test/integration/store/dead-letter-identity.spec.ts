import { Injectable } from '@nestjs/common';
import { Listener, NonRetryableError, defineChannel } from 'nestjs-pgpubsub';
import { beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { DeadLetterBatches } from '../../../lib/store/dead-letter-batches.js';
import { Database } from '../../../lib/triggers/database.js';
import { TestApp } from '../../support/app.js';
import { Mailbox, eventually } from '../../support/mailbox.js';
import { useDatabase } from '../../support/use-database.js';

/**
 * Ids of notifications come again when their sequence restarts: after a restore, after `truncate … restart identity`, or
 * with ids that an application sets. Every test here has several notifications of one id.
 */

interface Order {
  readonly name: string;
}

const Orders = defineChannel<Order>('orders', { delivery: 'exactly-once' });
const Other = defineChannel<Order>('other', { delivery: 'exactly-once' });

const broken = { first: true, second: true };
const handled = new Mailbox<string>();
let gate: Promise<void> | undefined;

@Injectable()
class Listeners {
  @Listener(Orders, { name: 'first' })
  async first({ name }: Order) {
    if (broken.first) throw new NonRetryableError(`first cannot handle ${name.slice(0, 40)}`);
    handled.push(`first ${name}`);
    await gate;
  }

  @Listener(Orders, { name: 'second' })
  second({ name }: Order) {
    if (broken.second) throw new NonRetryableError(`second cannot handle ${name.slice(0, 40)}`);
    handled.push(`second ${name}`);
  }
}

const database = useDatabase();
let app: TestApp;

beforeAll(async () => {
  app = await database.start({ providers: [Listeners], options: { synchronize: true } });
});
beforeEach(async () => {
  await app.pubsub.pause();
  await database.query('truncate pgpubsub_notification, pgpubsub_dead_letter restart identity');
  Object.assign(broken, { first: true, second: false });
  handled.all.length = 0;
  gate = undefined;
});

const nextId = (id: number) =>
  database.query(`alter table pgpubsub_notification alter column id restart with ${id}`);

/** Handles everything that is due. */
async function drain(): Promise<void> {
  await app.pubsub.resume();
  await app.pubsub.recover();
  await app.pubsub.pause();
}

/** Stores a notification with the id 1. */
async function store(name: string, context?: { tenant: string }): Promise<void> {
  await nextId(1);
  await app.pubsub.notify(Orders, { name }, context && { context });
}

/** Makes dead letters of notifications that all have the id 1. The next id is 100. */
async function bury(...names: string[]): Promise<void> {
  for (const name of names) {
    await store(name);
    await drain();
  }
  await nextId(100);
  handled.all.length = 0;
}

async function letters() {
  const all: { id: string; listener: string; name: string; error: string | undefined }[] = [];
  for await (const { id, listener, payload, lastError } of app.pubsub.stored.deadLetters())
    all.push({ id, listener, name: (payload as unknown as Order).name, error: lastError?.split('\n')[0] });
  return all;
}

const names = async () => (await letters()).map(({ name }) => name);

const waiting = () =>
  database.query<{ id: string; name: string; listeners: string[] | null }>(
    `select id, payload ->> 'name' as name, listeners from pgpubsub_notification order by id`,
  );

/** The sizes of the portions, as the command line works through them. */
async function inPortions(action: 'retry' | 'discard', filter = {}): Promise<number[]> {
  const { dataSource } = app;
  const options = { dataSource, storage: () => Database.of(dataSource).storage, nameOf: String };
  const portions = await DeadLetterBatches.begin(options, filter);
  const sizes: number[] = [];
  for await (const size of portions[action]()) sizes.push(size);
  return sizes;
}

/** Resolves when this number of retries wait for a lock. */
const blocked = (count: number) =>
  eventually(async () => {
    const sql = `select from pg_stat_activity where datname = $1 and wait_event_type = 'Lock' and query ~ 'pgpubsub_dead_letter'`;
    return (await database.query(sql, [database.name])).length === count;
  }, `${count} retries wait for a lock`);

const RETRIES: [string, () => Promise<number>][] = [
  ['at once', () => app.pubsub.stored.retry({})],
  ['in portions', async () => (await inPortions('retry')).reduce((sum, size) => sum + size, 0)],
];

describe('dead letters of several notifications with one id', () => {
  it('keep the payload and the error of each', async () => {
    const large = 'x'.repeat(100_000) + Math.random().toString();
    const larger = 'y'.repeat(100_000) + Math.random().toString();
    await bury('old', 'new', large, larger);

    expect(await letters()).toEqual(
      ['old', 'new', large, larger].map((name) => ({
        id: '1',
        listener: 'first',
        name,
        error: expect.stringContaining(`first cannot handle ${name.slice(0, 40)}`) as unknown,
      })),
    );
  });

  it('are all listed, over several pages', async () => {
    const sql = `insert into pgpubsub_dead_letter (id, channel, listener, payload)
      select 1, 'orders', 'first', json_build_object('name', n) from generate_series(1, 450) as n`;
    await database.query(sql);

    expect(await names()).toEqual(Array.from({ length: 450 }, (_, index) => index + 1));
  });

  it('are kept when the sequence of the letters restarts, too', async () => {
    await bury('old');
    await database.query('alter table pgpubsub_dead_letter alter column letter restart');
    await store('new');
    await app.pubsub.resume();
    await eventually(async () => (await waiting()).length === 0, 'the new notification is a dead letter');

    expect(await names()).toEqual(expect.arrayContaining(['old', 'new']));
    expect(await names()).toHaveLength(2);
  });

  it('are discarded only where the filter matches', async () => {
    broken.second = true;
    await bury('old', 'new');
    await database.query(
      `insert into pgpubsub_dead_letter (id, channel, listener, payload) values (1, 'other', 'first', '{"name":"other"}')`,
    );

    expect(await app.pubsub.stored.discard({ channel: Other })).toBe(1);
    expect(await inPortions('discard', { listener: 'first' })).toEqual([2]);
    expect((await letters()).map(({ listener, name }) => `${listener} ${name}`)).toEqual([
      'second old',
      'second new',
    ]);
  });

  it('are worked through in portions, whatever their number', async () => {
    const sql = `insert into pgpubsub_dead_letter (id, channel, listener, payload)
      select 1, 'nobody', 'first', json_build_object('name', n) from generate_series(1, 1200) as n`;
    await database.query(sql);
    await nextId(2);
    expect(await inPortions('retry')).toEqual([1_000, 200]);

    expect(await names()).toEqual([]);
    const stored = await waiting();
    expect(new Set(stored.map(({ name }) => name)).size).toBe(1_200);

    await database.query(sql);
    expect(await inPortions('discard')).toEqual([1_000, 200]);
    expect(await names()).toEqual([]);
  });
});

describe.each(RETRIES)('a retry %s', (_, retry) => {
  it('lets each be handled exactly once, the oldest under its id', async () => {
    await bury('old', 'new', 'newest');
    broken.first = false;

    expect(await retry()).toBe(3);
    expect(await letters()).toEqual([]);
    expect(await waiting()).toEqual([
      { id: '1', name: 'old', listeners: ['first'] },
      { id: '100', name: 'new', listeners: ['first'] },
      { id: '101', name: 'newest', listeners: ['first'] },
    ]);
    await drain();
    expect(handled.all).toEqual(['first old', 'first new', 'first newest']);
    expect(await letters()).toEqual([]);
  });

  it('leaves another notification alone that waits under the id', async () => {
    await bury('dead');
    await store('waiting');
    await nextId(100);
    broken.first = false;

    expect(await retry()).toBe(1);
    expect(await waiting()).toEqual([
      { id: '1', name: 'waiting', listeners: null },
      { id: '100', name: 'dead', listeners: ['first'] },
    ]);
    await drain();
    expect(handled.all.toSorted()).toEqual(['first dead', 'first waiting', 'second waiting']);
  });

  it('does not merge with an equal notification that the listener has not handled yet', async () => {
    await bury('equal');
    await store('equal');
    await nextId(100);
    broken.first = false;

    expect(await retry()).toBe(1);
    await drain();
    expect(handled.all.toSorted()).toEqual(['first equal', 'first equal', 'second equal']);
  });

  it('does not merge with an equal notification that was retried before', async () => {
    await bury('equal');
    expect(await retry()).toBe(1);
    await database.query(
      `insert into pgpubsub_dead_letter (id, channel, listener, payload) values (1, 'orders', 'first', '{"name":"equal"}')`,
    );
    expect(await retry()).toBe(1);
    broken.first = false;
    await drain();
    expect(handled.all).toEqual(['first equal', 'first equal']);
  });

  it('tells notifications with equal payloads apart by their context', async () => {
    for (const tenant of ['a', 'b']) {
      await store('equal', { tenant });
      await drain();
    }
    await nextId(100);
    expect(await retry()).toBe(2);
    expect(await database.query('select id, context from pgpubsub_notification order by id')).toEqual([
      { id: '1', context: { tenant: 'a' } },
      { id: '100', context: { tenant: 'b' } },
    ]);
  });

  it('puts the letters of several listeners back into the notifications they are of', async () => {
    broken.second = true;
    await bury('old', 'new', 'new');
    expect(await retry()).toBe(6);
    expect(await waiting()).toEqual([
      { id: '1', name: 'old', listeners: ['first', 'second'] },
      { id: '100', name: 'new', listeners: ['first', 'second'] },
      { id: '101', name: 'new', listeners: ['first', 'second'] },
    ]);
  });

  it.each([
    ['payload', { name: 'old' }, { name: 'new' }],
    ['context', { tenant: 'old' }, { tenant: 'new' }],
    ['key', 'old', 'new'],
  ])('gives no listener the %s of a notification that it has handled', async (column, old, young) => {
    await database.query(
      `insert into pgpubsub_dead_letter (id, channel, listener, ${column})
       values (1, 'orders', 'first', $1), (1, 'orders', 'first', $2), (1, 'orders', 'second', $2)`,
      [old, young],
    );
    await nextId(100);
    expect(await retry()).toBe(3);
    const sql = `select id, ${column}, listeners from pgpubsub_notification order by id`;
    expect(await database.query(sql)).toEqual([
      { id: '1', [column]: old, listeners: ['first'] },
      { id: '100', [column]: young, listeners: ['first', 'second'] },
    ]);
  });

  it('puts a letter back into its own notification, though an older letter has the id, too', async () => {
    await bury('old');
    await store('new');
    await database.query(`update pgpubsub_notification set handled_by = '{first}'`);
    await database.query(
      `insert into pgpubsub_dead_letter (id, channel, listener, payload, context)
       select id, channel, 'first', payload, context from pgpubsub_notification`,
    );
    await nextId(100);
    broken.first = false;

    expect(await retry()).toBe(2);
    expect(await waiting()).toEqual([
      { id: '1', name: 'new', listeners: null },
      { id: '100', name: 'old', listeners: ['first'] },
    ]);
    await drain();
    expect(handled.all.toSorted()).toEqual(['first new', 'first old', 'second new']);
  });

  it.each([
    ['is handled', false, '1'],
    ['fails and waits again', true, '100'],
  ])('waits for a claim of the id, whose notification then %s', async (_outcome, fails, id) => {
    await bury('dead');
    await store('claimed');
    await nextId(100);
    broken.first = false;
    let open: (error?: Error) => void = () => undefined;
    gate = new Promise((resolve, reject) => {
      open = (error) => (error ? reject(error) : resolve());
    });
    await app.pubsub.resume();
    await handled.find((line) => line === 'first claimed');

    const retried = retry();
    await blocked(1);
    await app.pubsub.pause();
    open(fails ? new Error('later') : undefined);
    expect(await retried).toBe(1);

    expect((await waiting()).find(({ name }) => name === 'dead')).toEqual({
      id,
      name: 'dead',
      listeners: ['first'],
    });
    expect(await waiting()).toHaveLength(fails ? 2 : 1);
  });

  it('leaves a notification alone that a transaction stores under the id meanwhile', async () => {
    await bury('dead');
    const client = await database.client();
    await client.query('begin');
    await client.query(
      `insert into pgpubsub_notification (id, channel, payload) values (1, 'orders', '{"name":"meanwhile"}')`,
    );
    const retried = retry();
    await blocked(1);
    await client.query('commit');

    expect(await retried).toBe(1);
    expect(await waiting()).toEqual([
      { id: '1', name: 'meanwhile', listeners: null },
      { id: '100', name: 'dead', listeners: ['first'] },
    ]);
  });

  it('is rejected, and changes nothing, while the sequence leads to an id that is taken', async () => {
    await bury('old', 'new');
    await nextId(1);
    const before = await letters();

    await expect(retry()).rejects.toMatchObject({
      code: 'COMPLETION_REFUSED',
      message: expect.stringContaining('select setval(') as unknown,
      cause: { code: '23505' },
    });
    expect(await letters()).toEqual(before);
    expect(await waiting()).toEqual([]);
  });

  it('is rejected, and changes nothing, when the database does not put back all of them', async () => {
    await bury('old', 'new');
    const before = await letters();
    await database.query(
      `create function skip_new() returns trigger language plpgsql as $$
        begin if new.payload ->> 'name' = 'new' then return null; end if; return new; end $$;
       create trigger skip_new before insert on pgpubsub_notification for each row execute procedure skip_new()`,
    );
    try {
      await expect(retry()).rejects.toMatchObject({
        code: 'COMPLETION_REFUSED',
        message: expect.stringContaining('1 of 2') as unknown,
      });
      expect(await letters()).toEqual(before);
      expect(await waiting()).toEqual([]);
    } finally {
      await database.query('drop function skip_new cascade');
    }
  });
});

it('joins the retries of two listeners that run at the same time', async () => {
  broken.second = true;
  await bury('one', 'two');
  const client = await database.client();
  await client.query('begin');
  await client.query(`insert into pgpubsub_notification (id, channel) values (1, 'orders')`);
  const retries = ['first', 'second'].map((listener) => app.pubsub.stored.retry({ listener }));
  await blocked(2);
  await client.query('rollback');

  expect(await Promise.all(retries)).toEqual([2, 2]);
  Object.assign(broken, { first: false, second: false });
  await drain();
  expect(handled.all.toSorted()).toEqual(['first one', 'first two', 'second one', 'second two']);
});

it('needs no right to the sequence', async () => {
  await bury('old', 'new');
  const role = database.name;
  const url = new URL(database.url);
  url.username = role;
  await database.query(`create role ${role} login;
    grant select, insert, update, delete on pgpubsub_notification to ${role};
    grant select, insert, delete on pgpubsub_dead_letter to ${role}`);
  try {
    await using limited = await TestApp.start({ url: url.href, providers: [Listeners] });
    expect(await limited.pubsub.stored.retry({})).toBe(2);
    await eventually(async () => (await names()).length === 2, 'both are dead letters again');
    expect(await names()).toEqual(['old', 'new']);
    await limited.close();
  } finally {
    await database.query(`drop owned by ${role}; drop role ${role}`);
  }
});
