import { Injectable } from '@nestjs/common';
import { Listener, defineChannel, type Notification, type PubSubEvent } from 'nestjs-pgpubsub';
import type { EntityManager } from 'typeorm';
import { afterEach, describe, expect, it } from 'vitest';
import type { TestApp } from '../../support/app.js';
import { Mailbox, eventually } from '../../support/mailbox.js';
import { range, useStored } from '../../support/stored.js';

/**
 * A claim undoes rows that it did not complete; the row that prevents the completion fails alone.
 */

const { start, database, query, waiting, deadLetters, settled, effects } = useStored();
afterEach(async () => {
  await query(`truncate pgpubsub_notification, pgpubsub_dead_letter, effect;
    alter table pgpubsub_notification disable row level security;
    drop policy if exists mine on pgpubsub_notification;
    drop policy if exists rest on pgpubsub_notification;
    drop trigger if exists keep on pgpubsub_notification`);
});

const Orders = defineChannel<unknown>('orders', { delivery: 'exactly-once' });

type Handle = (payload: never, notification: Notification) => unknown;

const QUICK_RETRY = { maxAttempts: 3, minDelayMs: 1, maxDelayMs: 5 };
const ONE_CLAIM = { concurrency: 1, batch: { maxTimeMs: 60_000 }, retry: QUICK_RETRY };

async function handle(
  given: readonly unknown[],
  handler: Handle,
  options = {},
  url = database.url,
): Promise<TestApp> {
  @Injectable()
  class Handler {
    @Listener(Orders)
    receive(payload: unknown, notification: Notification) {
      return handler(payload as never, notification);
    }
  }
  await using sender = await start({ channels: [Orders], options: { listen: false } });
  await sender.pubsub.notifyMany(Orders, given);
  return start({ providers: [Handler], options: { ...ONE_CLAIM, ...options }, url });
}

/** The address of the database, for another role. */
function as(role: string): string {
  const url = new URL(database.url);
  url.username = role;
  url.password = role;
  return url.href;
}

const write = (manager: EntityManager, what: unknown) =>
  manager.query('insert into effect (what) values ($1)', [String(what)]);

const errors = async () => (await deadLetters(Orders)).map((letter) => letter.last_error ?? '');

describe('a completion that the server rejects', () => {
  /** Matching rows cannot be deleted from the table of notifications. */
  const KEEPS: Record<string, string> = {
    'because a trigger skips the row': `create function keep() returns trigger language plpgsql as $$ begin
        if old.payload::text = '2' and tg_op = 'DELETE' and not exists (select from pgpubsub_dead_letter where id = old.id) then return null; end if; return old; end $$;
      create trigger keep before delete on pgpubsub_notification for each row execute function keep()`,
    'because a trigger fails': `create function keep() returns trigger language plpgsql as $$ begin
        if old.payload::text = '2' and not exists (select from pgpubsub_dead_letter where id = old.id) then raise 'not this one'; end if; return old; end $$;
      create trigger keep before delete on pgpubsub_notification for each row execute function keep()`,
  };

  it.each(Object.entries(KEEPS))('%s fails its row with the reason, and no other', async (_name, sql) => {
    await query(`drop function if exists keep cascade; ${sql}`);
    await using app = await handle(range(5), async (payload, { manager }) => write(manager, payload));
    await settled(Orders);
    expect((await effects()).toSorted()).toEqual(['1', '3', '4', '5']);
    const [letter, ...others] = await deadLetters(Orders);
    expect(others).toEqual([]);
    expect(letter).toMatchObject({ payload: 2, attempts: 3 });
    expect(letter?.last_error).toMatch(/completed|got 0 of 1|not this one/);
    await app.pubsub.recover();
  });

  it('because of row-level security is not repeated before its retry time, and status() shows it', async () => {
    await query(`drop role if exists handling_role; create role handling_role login password 'handling_role';
      grant usage on schema public to handling_role;
      grant select, insert, update, delete on pgpubsub_notification, pgpubsub_dead_letter, effect to handling_role;
      grant usage on all sequences in schema public to handling_role;
      alter table pgpubsub_notification enable row level security;
      create policy rest on pgpubsub_notification for select to handling_role using (true);
      create policy mine on pgpubsub_notification for update to handling_role using (true);
      create policy gone on pgpubsub_notification for delete to handling_role using (payload::text <> '2');
      create policy added on pgpubsub_notification for insert to handling_role with check (true)`);
    try {
      const runs = new Mailbox<unknown>();
      await using app = await handle(
        range(10),
        async (payload, { manager }) => {
          runs.push(payload);
          await write(manager, payload);
        },
        { retry: { maxAttempts: 10, minDelayMs: 600_000, maxDelayMs: 600_000 } },
        as('handling_role'),
      );
      const events = new Mailbox<PubSubEvent>();
      app.pubsub.events$.subscribe(events.push);
      await eventually(async () => (await waiting(Orders)).length === 1, 'all but one are completed');
      expect((await effects()).toSorted()).toEqual(range(10).filter((n) => n !== 2).map(String).toSorted()); // prettier-ignore
      const [row] = await waiting(Orders);
      expect(row).toMatchObject({ payload: 2, attempts: 1 });
      expect(row?.last_error).toMatch(/got 0 of 1/);
      expect(row?.available_at.getTime()).toBeGreaterThan(Date.now());
      const ran = runs.all.filter((payload) => payload === 2).length;
      await app.pubsub.recover();
      await app.pubsub.notify(Orders, 11);
      await runs.find((payload) => payload === 11);
      await app.pubsub.recover();
      expect(runs.all.filter((payload) => payload === 2)).toHaveLength(ran);
      const { health, reasons } = await app.pubsub.status();
      expect(health).toBe('degraded');
      expect(reasons.join()).toMatch(/completions on "orders" are rejected: .*got 0 of 1/);
    } finally {
      await query('drop policy gone on pgpubsub_notification; drop policy added on pgpubsub_notification; drop owned by handling_role; drop role handling_role'); // prettier-ignore
    }
  });

  it('together with the record of the failure delays only its row', async () => {
    await query(`drop function if exists keep cascade;
      create function keep() returns trigger language plpgsql as $$ begin
        if old.payload::text = '2' then raise 'nothing may change this'; end if; return coalesce(new, old); end $$;
      create trigger keep before update or delete on pgpubsub_notification for each row execute function keep()`);
    const runs: unknown[] = [];
    await using app = await handle(
      range(4),
      async (payload, { manager }) => {
        runs.push(payload);
        await write(manager, payload);
      },
      { retry: { maxAttempts: 10, minDelayMs: 600_000, maxDelayMs: 600_000 } },
    );
    await eventually(async () => (await waiting(Orders)).length === 1, 'the others are completed');
    await app.log.find(({ text }) => text.includes('nothing may change this'));
    const before = runs.length;
    await app.pubsub.notify(Orders, 5);
    await eventually(async () => (await effects()).includes('5'), 'the next one is handled');
    await app.pubsub.recover();
    expect(runs.slice(before)).toEqual([5]);
    expect((await effects()).toSorted()).toEqual(['1', '3', '4', '5']);
    await query('drop trigger keep on pgpubsub_notification');
  });

  it('does not happen after a handler has set another role, because the role is reset first', async () => {
    await query('drop role if exists powerless; create role powerless; alter table pgpubsub_notification enable row level security'); // prettier-ignore
    await query('grant insert on effect to powerless');
    try {
      await using _app = await handle(range(10), async (payload, { manager }) => {
        await write(manager, payload);
        if (Number(payload) === 4) await manager.query('set local role powerless');
        if (Number(payload) === 6) await manager.query('select set_config($1, $2, true)', ['role', 'powerless']); // prettier-ignore
      });
      await settled(Orders);
      expect((await effects()).toSorted()).toEqual(range(10).map(String).toSorted());
      expect(await errors()).toEqual([]);
    } finally {
      await query('drop owned by powerless; drop role powerless');
    }
  });
});

describe('a value that a handler throws', () => {
  const thrown: [string, () => unknown][] = [
    ['an error whose message throws', () => Object.defineProperty(new Error('x'), 'message', { get() { throw new Error('no message'); } })], // prettier-ignore
    ['an error whose stack throws', () => Object.defineProperty(new Error('x'), 'stack', { get() { throw new Error('no stack'); } })], // prettier-ignore
    ['a proxy whose traps throw', () => new Proxy({}, { get() { throw new Error('no'); }, getPrototypeOf() { throw new Error('no'); }, has() { throw new Error('no'); } })], // prettier-ignore
    ['an object without a prototype', () => Object.create(null)],
    ['a symbol', () => Symbol('s')],
    ['nothing', () => undefined],
    ['an error that contains itself', () => { const error = new AggregateError([]); error.errors.push(error); return error; }], // prettier-ignore
  ];

  it.each(thrown)('is described, and does not affect the claim: %s', async (_name, create) => {
    await using _app = await handle(
      [1, 'bad', 2],
      async (payload, { manager }) => {
        await write(manager, payload);
        if (payload === 'bad') throw create();
      },
      { retry: { ...QUICK_RETRY, maxAttempts: 1 } },
    );
    await settled(Orders);
    expect(await effects()).toEqual(['1', '2']);
    const [letter] = await deadLetters(Orders);
    expect(letter).toMatchObject({ payload: 'bad', attempts: 1 });
    expect(letter?.last_error).not.toMatch(/process or its connection ended/);
  });
});

describe('a row that another role has stored', () => {
  const hostile: [column: string, value: string][] = [
    ['retries', `'null'::jsonb`],
    ['retries', `'[]'::jsonb`],
    ['retries', `'{"Handler.receive": 5}'::jsonb`],
    ['retries', `'{"Handler.receive": {"attempts": -1, "at": 0}}'::jsonb`],
    ['context', `'null'::jsonb`],
    ['context', `'[1]'::jsonb`],
    ['handled_by', `array[null]::text[]`],
    ['handled_by', `array[array['a'], array['b']]`],
  ];

  it.each(hostile)(
    'with %s = %s becomes a dead letter with the reason, and other rows are handled',
    async (column, value) => {
      await query(`insert into pgpubsub_notification (channel, payload, ${column})
      select 'orders', '"hostile"', ${value} from generate_series(1, 30)`);
      await using _app = await handle(range(26), async (payload, { manager }) => write(manager, payload));
      await settled(Orders);
      expect((await effects()).toSorted()).toEqual(range(26).map(String).toSorted());
      const found = await errors();
      expect(found).toHaveLength(30);
      for (const error of found) expect(error).toContain(`expected the column "${column}"`);
    },
  );

  it.each(['deaths', 'attempts'])(
    'with the largest and smallest value of %s does not affect other rows',
    async (column) => {
      await query(`insert into pgpubsub_notification (channel, payload, ${column}) values ('orders', '"max"', 2147483647), ('orders', '"min"', -2147483648)`); // prettier-ignore
      await using _app = await handle([1], async (payload, { manager }) => write(manager, payload));
      await settled(Orders);
      expect(await effects()).toContain('1');
    },
  );

  it('for a listener of another process stays stored, without repeated claims', async () => {
    await query(`insert into pgpubsub_notification (channel, payload, listeners, handled_by)
      values ('orders', '"nobody"', '{Handler.receive,elsewhere}', '{Handler.receive}')`);
    const events = new Mailbox<PubSubEvent>();
    await using app = await handle([1], async (payload, { manager }) => write(manager, payload));
    app.pubsub.events$.subscribe(events.push);
    await eventually(async () => (await effects()).length === 1, 'the other is handled');
    await app.pubsub.recover();
    expect(await waiting(Orders)).toHaveLength(1);
    expect(events.all.filter(({ type }) => type === 'claimed').length).toBeLessThan(10);
  });

  it.each(['infinity', '-infinity'])(
    'with the time %s affects neither other rows nor status()',
    async (time) => {
      await query(`insert into pgpubsub_notification (channel, payload, available_at) values ('orders', '"timeless"', '${time}')`); // prettier-ignore
      await using app = await handle([1, 2], async (payload, { manager }) => write(manager, payload));
      await app.pubsub.recover();
      await app.pubsub.notify(Orders, 3, { delayMs: 50 });
      const expected = time === 'infinity' ? ['1', '2', '3'] : ['1', '2', '3', 'timeless'];
      await eventually(async () => (await effects()).length === expected.length, 'the others are handled');
      expect((await effects()).toSorted()).toEqual(expected);
      const { channels, reasons } = await app.pubsub.status();
      expect(reasons).toEqual([]);
      expect(channels).toEqual(time === 'infinity' ? [expect.objectContaining({ waiting: 1, due: 0, overdueMs: 0 })] : []); // prettier-ignore
    },
  );
});

it('status() shows the reason when rights are revoked at run time, and is up when they are granted again', async () => {
  await query(`drop role if exists revoked_role; create role revoked_role login password 'revoked_role';
    grant usage on schema public to revoked_role; grant usage on all sequences in schema public to revoked_role;
    grant select, insert, update, delete on pgpubsub_notification, pgpubsub_dead_letter, effect to revoked_role`);
  try {
    await using app = await handle(
      [1],
      async (payload, { manager }) => write(manager, payload),
      { poll: { intervalMs: 50, deafIntervalMs: 50 } },
      as('revoked_role'),
    );
    await settled(Orders);
    await query('revoke update, delete on pgpubsub_notification from revoked_role');
    await eventually(async () => (await app.pubsub.status()).health === 'degraded', 'status() is degraded');
    expect((await app.pubsub.status()).reasons.join()).toMatch(/claims on "orders" have been rejected .*permission denied/); // prettier-ignore
    await query('grant update, delete on pgpubsub_notification to revoked_role');
    await query(`select pgpubsub_notify('orders', '2')`);
    await eventually(async () => (await effects()).length === 2, 'it claims again');
    await eventually(async () => (await app.pubsub.status()).health === 'up', 'status() is up');
  } finally {
    await query('drop owned by revoked_role; drop role revoked_role');
  }
});
