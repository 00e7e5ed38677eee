import { Injectable } from '@nestjs/common';
import { Listener, defineChannel, type Notification } from 'nestjs-pgpubsub';
import type { EntityManager } from 'typeorm';
import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from 'vitest';
import { Mailbox } from '../../support/mailbox.js';
import { PgBouncer } from '../../support/pg-bouncer.js';
import { range, recordParsed, useStored } from '../../support/stored.js';

/**
 * Statements that handlers repeat within a claim are parsed once, under a name that is removed with
 * the claim.
 */

const { start, database, query, deadLetters, settled, effects } = useStored();
afterEach(async () => {
  vi.restoreAllMocks();
  await query('truncate pgpubsub_notification, pgpubsub_dead_letter, effect');
});

type Handle = (payload: number, notification: Notification) => unknown;

const Orders = defineChannel<number>('orders', { delivery: 'exactly-once' });
const INSERT = 'insert into effect (what) values ($1)';

const write = (manager: EntityManager, what: unknown) => manager.query(INSERT, [String(what)]);

/** The prepared statements of the manager's session. */
async function prepared(manager: EntityManager): Promise<string[]> {
  const rows = await manager.query<{ text: string }[]>(
    'select statement as text from pg_prepared_statements order by prepare_time, name',
  );
  return rows.map(({ text }) => text);
}

/** Stores notifications before a listener starts, so that one claim takes all of them. */
async function handle(given: readonly number[], handler: Handle, listener = {}, settings = {}) {
  @Injectable()
  class Handler {
    @Listener(Orders, { retry: { maxAttempts: 2 }, ...listener })
    receive(payload: number, notification: Notification) {
      return handler(payload, notification);
    }
  }
  await using sender = await start({ channels: [Orders], options: { listen: false } });
  await sender.pubsub.notifyMany(Orders, given);
  return start({ providers: [Handler], options: { concurrency: 1 }, ...settings });
}

/** Makes one claim take all rows; the first claims of a process are small otherwise. */
const IN_ONE_CLAIM = { options: { concurrency: 1, batch: { maxTimeMs: 60_000 } } };

describe('a statement that handlers repeat within a claim', () => {
  it('is parsed once under a name, together with the savepoints, and without a name when it is not repeated', async () => {
    const parsed = recordParsed();
    await using _app = await handle(
      range(10),
      async (payload, { manager }) => {
        await write(manager, payload);
        if (payload === 1) await manager.query('select $1::int', [1]);
      },
      {},
      IN_ONE_CLAIM,
    );
    await settled(Orders);
    expect(await effects()).toEqual(range(10).map(String));
    const count = (text: string) => parsed.filter((one) => one === text).length;
    expect(count(INSERT)).toBe(2); // once without a name, once with it
    expect(count('savepoint pgpubsub_handler')).toBe(2);
    expect(count('release savepoint pgpubsub_handler')).toBe(2);
    expect(count('select $1::int')).toBe(1);
  });

  it('is removed with the claim', async () => {
    const seen = new Mailbox<string[]>();
    await using app = await handle(
      range(5),
      async (payload, { manager }) => {
        await write(manager, payload);
        if (payload >= 5) seen.push(await prepared(manager));
      },
      {},
      { ...IN_ONE_CLAIM, dataSource: { poolSize: 2 } },
    );
    expect(await seen.next()).toEqual(expect.arrayContaining([INSERT]));
    await app.pubsub.recover();
    await app.pubsub.notify(Orders, 6);
    expect(await seen.next()).toEqual([]);
    await app.pubsub.recover();
    const sessions = range(2).map(() => app.dataSource.transaction((manager) => prepared(manager)));
    expect(await Promise.all(sessions)).toEqual([[], []]);
  });

  it('fails only its own row', async () => {
    await query('create unique index once on effect (what)');
    try {
      await using _app = await handle(
        range(9),
        async (payload, { manager, attempt }) => {
          await write(manager, payload % 3 === 0 && attempt === 1 ? 1 : payload);
          await manager.query('select what from effect where what = $1', [String(payload)]);
        },
        {},
        IN_ONE_CLAIM,
      );
      await settled(Orders);
      expect((await effects()).map(Number).toSorted((a, b) => a - b)).toEqual(range(9));
      expect(await deadLetters(Orders)).toEqual([]);
    } finally {
      await query('drop index once');
    }
  });

  it('fails its row each time when the server cannot parse it', async () => {
    const errors: string[] = [];
    await using _app = await handle(
      range(6),
      async (payload, { manager }) => {
        await write(manager, payload);
        if (payload % 2 === 1) return;
        await manager.query('select from nowhere where id = $1', [payload]).catch((error: Error) => {
          errors.push(error.message);
          throw error;
        });
      },
      {},
      IN_ONE_CLAIM,
    );
    await settled(Orders);
    expect(await effects()).toEqual(['1', '3', '5']);
    expect((await deadLetters(Orders)).map(({ payload }) => payload)).toEqual([2, 4, 6]);
    expect(errors).toEqual(errors.map(() => 'relation "nowhere" does not exist'));
    expect(errors).toHaveLength(6);
  });

  it('can be caught within a nested transaction', async () => {
    await query('create unique index once on effect (what)');
    try {
      await using _app = await handle(
        range(6),
        async (payload, { manager }) => {
          await manager.transaction((nested) => write(nested, 'same')).catch(() => undefined);
          await write(manager, payload);
        },
        {},
        IN_ONE_CLAIM,
      );
      await settled(Orders);
      expect(await effects()).toEqual(['same', ...range(6).map(String)]);
    } finally {
      await query('drop index once');
    }
  });

  it('is parsed at most five times when five handlers run in parallel and one of them fails', async () => {
    const parsed = recordParsed();
    await using _app = await handle(
      range(30),
      async (payload, { manager, attempt }) => {
        await write(manager, payload);
        if (payload === 20 && attempt === 1) throw new Error('once');
      },
      { concurrency: 5 },
      IN_ONE_CLAIM,
    );
    await settled(Orders);
    expect((await effects()).map(Number).toSorted((a, b) => a - b)).toEqual(range(30));
    expect(parsed.filter((text) => text === INSERT).length).toBeLessThanOrEqual(5);
  });
});

describe.skipIf(!PgBouncer.isInstalled)(
  'a repeated statement through PgBouncer in transaction mode (where it is installed)',
  () => {
    let pooler: PgBouncer;
    beforeAll(async () => {
      pooler = await PgBouncer.start(database.url, 2);
    });
    afterAll(() => pooler[Symbol.asyncDispose]());

    it('works on the connection of each claim, and leaves no prepared statement behind', async () => {
      const left = new Mailbox<string[]>();
      const handler: Handle = async (payload, { manager }) => {
        if (payload < 0) return left.push(await prepared(manager));
        await write(manager, payload);
        await manager.query('select what from effect where what = $1', [String(payload)]);
        if (payload % 7 === 0) throw new Error('always');
      };
      const settings = { url: pooler.url, options: { connection: database.url, batch: { maxSize: 10 } } };
      await using one = await handle(range(200), handler, {}, settings);
      await using _other = await handle([], handler, {}, settings);
      await settled(Orders);
      const good = range(200).filter((payload) => payload % 7 > 0);
      expect((await effects()).map(Number).toSorted((a, b) => a - b)).toEqual(good);
      await one.pubsub.notify(Orders, -1);
      expect(await left.next()).toEqual([]);
    });
  },
);
