import { Injectable, type Type } from '@nestjs/common';
import { Listener, defineChannel, type ChannelDefinition, type Notification } from 'nestjs-pgpubsub';
import { afterEach, describe, expect, it } from 'vitest';
import { Mailbox, eventually } from '../../support/mailbox.js';
import { range, useStored } from '../../support/stored.js';
import { TcpProxy } from '../../support/tcp-proxy.js';

const { start, database, query, waiting, deadLetters, settled, effects } = useStored();
afterEach(() => query('truncate pgpubsub_notification, pgpubsub_dead_letter, effect'));

const Orders = defineChannel<unknown>('orders', { delivery: 'exactly-once' });

type Handle = (payload: unknown, notification: Notification) => unknown;

const never = () => new Promise<never>(() => undefined);

const write = ({ manager }: Notification, what: unknown) =>
  manager.query('insert into effect (what) values ($1)', [String(what)]);

function listener(handler: Handle, options: object = {}, channel: ChannelDefinition = Orders): Type {
  @Injectable()
  class Handler {
    @Listener(channel, { retry: { maxAttempts: 1 }, ...options })
    receive(payload: unknown, notification: Notification) {
      return handler(payload, notification);
    }
  }
  return Handler;
}

/** Stores the payloads, and then starts the listener, which gets them in one claim. */
async function handle(
  given: readonly unknown[],
  handler: Handle,
  options: object = {},
  settings: object = {},
) {
  await using sender = await start({ channels: [Orders], options: { listen: false } });
  await sender.pubsub.notifyMany(Orders, given);
  return start({
    providers: [listener(handler, { timeoutMs: 300, ...options })],
    options: { concurrency: 1, batch: { maxTimeMs: 60_000 } },
    ...settings,
  });
}

const errors = async () => (await deadLetters(Orders)).map((letter) => letter.last_error ?? '');

describe('a handler that takes longer than timeoutMs', () => {
  it('fails with HANDLER_TIMEOUT: rows before it commit, and rows after it run in another claim at their first attempt', async () => {
    const runs: string[] = [];
    const signals = new Mailbox<AbortSignal>();
    await using app = await handle(range(4), async (payload, notification) => {
      runs.push(`${String(payload)} attempt ${notification.attempt}`);
      await write(notification, payload);
      if (payload !== 2) return;
      signals.push(notification.signal);
      await never();
    });
    await settled(Orders);
    expect(await effects()).toEqual(['1', '3', '4']);
    expect(runs).toEqual(range(4).map((n) => `${n} attempt 1`));
    expect(await errors()).toEqual([
      expect.stringMatching(/expected Handler\.receive to return within 300 ms, got no answer/),
    ]);
    const signal = await signals.next();
    expect(signal.aborted).toBe(true);
    expect(signal.reason).toMatchObject({ code: 'HANDLER_TIMEOUT' });
    await app.pubsub.recover();
  });

  it('is retried like any other failure', async () => {
    const attempts: number[] = [];
    await using _app = await handle(
      [1],
      async (payload, notification) => {
        attempts.push(notification.attempt);
        if (notification.attempt < 3) await never();
        await write(notification, payload);
      },
      { retry: { maxAttempts: 5, minDelayMs: 1, maxDelayMs: 5 }, timeoutMs: 100 },
    );
    await settled(Orders);
    expect(attempts).toEqual([1, 2, 3]);
    expect(await effects()).toEqual(['1']);
  });

  it.each<[string, Handle]>([
    ['awaited', (_, { manager }) => manager.query('select pg_sleep(300)')],
    ['not awaited', (_, { manager }) => void manager.query('select pg_sleep(300)').catch(() => undefined)],
    [
      'in a nested transaction',
      (_, { manager }) => manager.transaction((nested) => nested.query('select pg_sleep(300)')),
    ],
    [
      'one of several',
      (_, { manager }) => Promise.all([manager.query('select 1'), manager.query('select pg_sleep(300)'), manager.query('select pg_sleep(300)')]), // prettier-ignore
    ],
  ])('has its statement cancelled on the server: %s', async (_name, sleeps) => {
    await using _app = await handle([1, 'slow', 2], async (payload, notification) => {
      await write(notification, payload);
      if (payload === 'slow') await sleeps(payload, notification);
    });
    await settled(Orders);
    expect(await effects()).toEqual(['1', '2']);
    expect(await errors()).toEqual([expect.stringContaining('within 300 ms')]);
    const sleeping = await query("select pid from pg_stat_activity where datname = current_database() and query like '%pg_sleep(300)%' and state = 'active' and pid <> pg_backend_pid()"); // prettier-ignore
    expect(sleeping).toEqual([]);
  });

  it('cannot run statements in its transaction any more', async () => {
    const late = new Mailbox<unknown>();
    const go = new Mailbox<string>();
    await using _app = await handle([1, 'late'], async (payload, notification) => {
      await write(notification, payload);
      if (payload !== 'late') return;
      await go.next();
      await write(notification, 'too late').catch(late.push);
      await notification.manager.transaction((nested) => nested.query('select 1')).catch(late.push);
    });
    await settled(Orders);
    go.push('go');
    for (const error of await late.take(2)) expect(String(error)).toMatch(/after its end|already released/);
    expect(await effects()).toEqual(['1']);
  });

  it('fails as one call when it is a batch, and its rows then run one by one', async () => {
    const sizes: number[] = [];
    await using _app = await handle(
      [1, 'slow', 2],
      async (payloads, batch) => {
        const all = payloads as unknown[];
        sizes.push(all.length);
        for (const payload of all) await write(batch, payload);
        if (all.includes('slow')) await never();
      },
      { batch: true },
    );
    await settled(Orders);
    expect((await effects()).toSorted()).toEqual(['1', '2']);
    expect(sizes[0]).toBe(3);
    expect(await deadLetters(Orders)).toHaveLength(1);
  });

  it('fails alone among parallel handlers, and the others run again one by one', async () => {
    const attempts: number[] = [];
    await using _app = await handle(
      [...range(9), 'slow'],
      async (payload, notification) => {
        attempts.push(notification.attempt);
        await write(notification, payload);
        if (payload === 'slow') await never();
      },
      { concurrency: 5 },
    );
    await settled(Orders);
    expect((await effects()).toSorted()).toEqual(range(9).map(String));
    expect(attempts.every((attempt) => attempt === 1)).toBe(true);
    expect(await errors()).toEqual([expect.stringContaining('within 300 ms')]);
  });
});

describe('timeoutMs', () => {
  it('is taken from the listener, else from the channel, else from the module', async () => {
    const Slow = defineChannel<unknown>('slow', { delivery: 'exactly-once', timeoutMs: 200 });
    const Free = defineChannel<unknown>('free', { delivery: 'exactly-once', timeoutMs: 50 });
    const Other = defineChannel<unknown>('other', { delivery: 'exactly-once' });
    const slowly: Handle = async (payload, notification) => {
      await notification.manager.query('select pg_sleep(0.6)');
      await write(notification, payload);
    };
    await using app = await start({
      providers: [
        listener(slowly, {}, Slow),
        listener(slowly, { timeoutMs: false }, Free),
        listener(slowly, {}, Other),
      ],
      options: { timeoutMs: 60_000 },
    });
    await app.pubsub.notify(Slow, 'slow');
    await app.pubsub.notify(Free, 'free');
    await app.pubsub.notify(Other, 'other');
    await settled(Free);
    await settled(Other);
    await eventually(async () => (await deadLetters(Slow)).length === 1, 'the slow one has failed');
    expect((await effects()).toSorted()).toEqual(['free', 'other']);
  });

  it('makes status() show handlers that time out, until their listener handles a notification', async () => {
    await using app = await handle(
      ['slow'],
      async (payload, notification) => {
        if (payload === 'slow') await never();
        await write(notification, payload);
      },
      { retry: { maxAttempts: 2, minDelayMs: 600_000, maxDelayMs: 600_000 } },
    );
    await app.log.find(({ text }) => text.includes('within 300 ms'));
    const { health, reasons } = await app.pubsub.status();
    expect(health).toBe('degraded');
    expect(reasons).toEqual([
      expect.stringMatching(/^Handler\.receive on "orders" timed out 1 time and has handled nothing since/),
    ]);
    await app.pubsub.notify(Orders, 'fine');
    await eventually(async () => (await app.pubsub.status()).health === 'up', 'status() is up');
    await query('truncate pgpubsub_notification');
  });
});

it('a claim destroys its connection when the server does not confirm the cancel, and only the row that ran uses an attempt', async () => {
  await using proxy = await TcpProxy.start(database.url);
  const runs: string[] = [];
  await using _app = await handle(
    range(4),
    async (payload, notification) => {
      runs.push(`${String(payload)} attempt ${notification.attempt}`);
      await write(notification, payload);
      if (payload !== 2 || notification.attempt > 1) return;
      proxy.swallow();
      await notification.manager.query('select 1');
    },
    { retry: { maxAttempts: 3, minDelayMs: 1, maxDelayMs: 5 } },
    { url: proxy.url, options: { concurrency: 1, batch: { maxTimeMs: 60_000 }, connection: database.url } },
  );
  await settled(Orders);
  expect((await effects()).toSorted()).toEqual(['1', '2', '3', '4']);
  expect(runs.filter((run) => run.endsWith('attempt 2'))).toEqual(['2 attempt 2']);
  expect(await waiting(Orders)).toEqual([]);
});

describe.each([2, 6, 20])('handlers that hang on every channel, with a pool of %d', (poolSize) => {
  it('let other channels continue within timeoutMs', async () => {
    const channels = range(4).map((n) => defineChannel<unknown>(`hangs_${n}`, { delivery: 'exactly-once' }));
    const hung = new Mailbox<unknown>();
    const hangs: Handle = async (payload, notification) => {
      if (payload !== 'hang') return write(notification, payload);
      hung.push(payload);
      return never();
    };
    await using app = await start({
      providers: [
        ...channels.map((channel) => listener(hangs, { timeoutMs: 500 }, channel)),
        listener((payload, notification) => write(notification, payload)),
      ],
      dataSource: { poolSize },
    });
    for (const channel of channels) await app.pubsub.notifyMany(channel, ['hang', 'hang', `good ${channel.name}`]); // prettier-ignore
    await hung.next();
    await app.pubsub.notify(Orders, 'other');
    await eventually(async () => (await effects()).includes('other'), 'the other channel continues');
    await Promise.all(channels.map((channel) => settled(channel)));
    expect((await effects()).toSorted()).toEqual([...channels.map(({ name }) => `good ${name}`), 'other'].toSorted()); // prettier-ignore
    const [{ n } = { n: 0 }] = await query<{ n: number }>(`select count(*)::int as n from pgpubsub_dead_letter`); // prettier-ignore
    expect(n).toBe(8);
  });
});

it('channels take turns: a row on a third channel is claimed after at most one claim of each busy channel', async () => {
  const busy = range(2).map((n) => defineChannel<unknown>(`busy_${n}`, { delivery: 'exactly-once' }));
  const order: string[] = [];
  await using sender = await start({ channels: [...busy, Orders], options: { listen: false } });
  for (const channel of busy) await sender.pubsub.notifyMany(channel, range(300));
  const started = new Mailbox<string>();
  const note =
    (name: string): Handle =>
    () => {
      order.push(name);
      started.push(name);
    };
  await using app = await start({
    providers: [...busy.map((channel) => listener(note(channel.name), {}, channel)), listener(note('third'))],
    options: { concurrency: 1, batch: { maxSize: 5 } },
  });
  await started.take(40);
  const before = order.length;
  await app.pubsub.notify(Orders, 'third');
  await started.find((name) => name === 'third');
  await Promise.all(busy.map((channel) => settled(channel)));
  expect(order.indexOf('third') - before).toBeLessThan(300);
  const turns = order.filter((name, index) => name !== order[index - 1]);
  expect(turns.length).toBeGreaterThan(20); // the busy channels took turns, too
});
