import { Injectable } from '@nestjs/common';
import { Listener, defineChannel } from 'nestjs-pgpubsub';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { collector, payloadsOf } from '../../support/listeners.js';
import { Mailbox, eventually } from '../../support/mailbox.js';
import { range, recordStatements, useStored, type SentStatement } from '../../support/stored.js';
import { TcpProxy } from '../../support/tcp-proxy.js';

const { start, query, settled, waiting, database } = useStored();
afterEach(async () => {
  vi.restoreAllMocks();
  await query('truncate pgpubsub_notification, pgpubsub_dead_letter, effect');
});

const Orders = defineChannel<unknown>('orders', { delivery: 'exactly-once' });
const Others = defineChannel<unknown>('others', { delivery: 'exactly-once' });
const Polled = defineChannel<unknown>('polled', {
  delivery: 'exactly-once',
  wake: 'poll',
  pollIntervalMs: 50,
});

const claims = (sent: readonly SentStatement[], channel = 'orders') =>
  sent.filter(({ text }) => text.includes('for update skip locked') && text.includes(`'${channel}'`));

/** A listener whose handlers run until they are released. */
function holding(channel = Orders) {
  const started = new Mailbox<unknown>();
  const releases: (() => void)[] = [];
  @Injectable()
  class Holding {
    @Listener(channel)
    async receive(payload: unknown) {
      started.push(payload);
      if (String(payload).startsWith('hold')) await new Promise<void>((resolve) => releases.push(resolve));
    }
  }
  return { provider: Holding, started, release: () => releases.splice(0).forEach((release) => release()) };
}

describe('a stored notification', () => {
  it('is handled when notify() or SQL stored it before any process listened', async () => {
    await using sender = await start({ channels: [Orders], options: { listen: false } });
    await sender.pubsub.notifyMany(Orders, range(300));
    await query(`select pgpubsub_notify('orders', '301')`);
    const { provider, received } = collector(Orders);
    await using _app = await start({ providers: [provider] });
    expect(payloadsOf(await received.take(301)).map(Number).toSorted((a, b) => a - b)).toEqual(range(301)); // prettier-ignore
    await settled(Orders);
    expect(received.untaken).toEqual([]);
  });

  it('is handled once by one of several applications, even with equal payloads', async () => {
    const collectors = [collector(Orders), collector(Orders), collector(Orders)];
    const apps = await Promise.all(collectors.map(({ provider }) => start({ providers: [provider] })));
    try {
      await apps[0]?.pubsub.notifyMany(Orders, Array<number>(500).fill(7));
      await settled(Orders);
      const ids = collectors.flatMap(({ received }) => received.all.map(({ notification }) => notification.id)); // prettier-ignore
      expect(ids).toHaveLength(500);
      expect(new Set(ids).size).toBe(500);
    } finally {
      await Promise.all(apps.map((app) => app.close()));
    }
  });

  it('is handled at its time, without repeated claims until then', async () => {
    const late: number[] = [];
    @Injectable()
    class Handler {
      @Listener(Orders)
      receive(at: number) {
        late.push(Date.now() - at);
      }
    }
    await using app = await start({ providers: [Handler] });
    await app.pubsub.recover();
    const now = Date.now();
    const sent = recordStatements();
    for (const delayMs of [1, 300, 600, 1_000])
      await app.pubsub.notify(Orders, now + delayMs, delayMs === 600 ? { availableAt: new Date(now + 600) } : { delayMs }); // prettier-ignore
    await settled(Orders);
    expect(late).toHaveLength(4);
    for (const lateness of late) {
      expect(lateness).toBeGreaterThanOrEqual(-2);
      expect(lateness).toBeLessThan(5_000); // on a busy machine; the poll comes after 600 s
    }
    expect(claims(sent).length).toBeLessThan(25);
  });

  it('is found by a poll when it was stored without a hint', async () => {
    const { provider, received } = collector(Polled);
    await using app = await start({ providers: [provider] });
    await app.pubsub.notify(Polled, 1);
    expect((await received.next()).payload).toBe(1);
    await app.pubsub.notify(Polled, 2);
    expect((await received.next()).payload).toBe(2);
  });

  it('is found by polls while the LISTEN connection is silent or cannot be opened', async () => {
    await using proxy = await TcpProxy.start(database.url);
    const { provider, received } = collector(Orders);
    await using app = await start({
      providers: [provider],
      options: { connection: proxy.url, poll: { intervalMs: 600_000, deafIntervalMs: 30 } },
    });
    const states = new Mailbox<string>();
    app.pubsub.connection$.subscribe(states.push);
    await states.find((state) => state === 'listening');
    await proxy[Symbol.asyncDispose]();
    await states.find((state) => state === 'reconnecting');
    for (const id of range(3)) {
      await app.pubsub.notify(Orders, id);
      expect((await received.next()).payload).toBe(id);
    }
  });

  it('is handled after a reconnect when it was stored while the LISTEN connection was lost', async () => {
    const { provider, received } = collector(Orders);
    await using app = await start({ providers: [provider] });
    await app.pubsub.recover();
    const states = new Mailbox<string>();
    app.pubsub.connection$.subscribe(states.push);
    await database.terminateListeners();
    await query(`select pgpubsub_notify('orders', '1')`);
    await states.find((state) => state === 'reconnecting');
    expect((await received.next()).payload).toBe(1);
  });
});

describe('a handler that hangs', () => {
  it('delays neither other channels nor other claims of its channel', async () => {
    const held = holding();
    const others = collector(Others);
    await using app = await start({ providers: [held.provider, others.provider] });
    await app.pubsub.notify(Orders, 'hold 1');
    await held.started.find((payload) => payload === 'hold 1');
    await app.pubsub.notify(Others, 'other');
    await others.received.next();
    await app.pubsub.notify(Orders, 'behind');
    await held.started.find((payload) => payload === 'behind');
    await app.pubsub.notify(Orders, 'hold 2');
    await held.started.find((payload) => payload === 'hold 2');
    await app.pubsub.notify(Orders, 'behind both');
    await held.started.find((payload) => payload === 'behind both');
    await eventually(async () => (await waiting(Orders)).length === 2, 'only what hangs is left');
    await app.pubsub.notify(Orders, 'late', { delayMs: 300 });
    await held.started.find((payload) => payload === 'late');
    held.release();
    await settled(Orders);
    expect(held.started.all).toEqual(['hold 1', 'behind', 'hold 2', 'behind both', 'late']);
  });

  it('does not delay polls of its channel', async () => {
    const held = holding(Polled);
    await using app = await start({ providers: [held.provider] });
    await app.pubsub.notify(Polled, 'hold');
    await held.started.next();
    await app.pubsub.notify(Polled, 'behind');
    expect(await held.started.next()).toBe('behind');
    held.release();
    await settled(Polled);
  });
});

describe('claims', () => {
  it('run once for all hints that arrive during a claim', async () => {
    const held = holding();
    const mark = collector('mark');
    await using app = await start({
      providers: [held.provider, mark.provider],
      options: { batch: { maxTimeMs: 60_000 } },
    });
    await app.pubsub.recover();
    const sent = recordStatements();
    await app.pubsub.notify(Orders, 'hold');
    await held.started.next();
    const before = claims(sent).length;
    for (const id of range(50)) await query(`select pgpubsub_notify('orders', '${id}')`);
    await app.pubsub.notify('mark');
    await mark.received.next(); // the hints arrived before it, on the same connection
    held.release();
    await held.started.take(50);
    await settled(Orders);
    expect(claims(sent).length - before).toBeLessThanOrEqual(4);
  });

  it('use at most half of the pool by default, and log their number', async () => {
    for (const [max, concurrency, expected] of [
      [3, undefined, 1],
      [20, undefined, 4],
      [4, undefined, 2],
      [10, 7, 7],
    ] as const) {
      // prettier-ignore
      const { provider } = collector(Orders);
      await using app = await start({
        providers: [provider],
        dataSource: { extra: { max } },
        options: concurrency === undefined ? {} : { concurrency },
      });
      await app.log.find(({ text }) =>
        text.includes(`up to ${expected} claims at once (the pool has ${max} connections)`),
      );
    }
  });

  it('run in parallel up to `concurrency`', async () => {
    const held = holding();
    await using app = await start({
      providers: [held.provider],
      options: { concurrency: 3, batch: { maxSize: 1 } },
    });
    await app.pubsub.notifyMany(Orders, range(6).map((id) => `hold ${id}`)); // prettier-ignore
    await held.started.take(3);
    const sql = `select count(*)::int as n from pg_stat_activity where datname = current_database() and state = 'idle in transaction'`;
    const [row] = await query<{ n: number }>(sql);
    expect(row?.n).toBe(3);
    expect(held.started.all).toHaveLength(3);
    held.release();
    await held.started.take(3);
    held.release();
    await settled(Orders);
  });

  it('cause no statements in an idle process', async () => {
    const { provider, received } = collector(Orders);
    await using app = await start({ providers: [provider, collector(Others).provider] });
    await app.pubsub.notifyMany(Orders, range(10));
    await received.take(10);
    await app.pubsub.recover();
    await app.pubsub.notify(Orders, 'far', { delayMs: 3_600_000 });
    const sent = recordStatements();
    const quiet = async (ms: number) => {
      const before = sent.length;
      await new Promise((resolve) => setTimeout(resolve, ms)); // this test is about time
      return sent.length === before;
    };
    await eventually(() => quiet(1_500), 'nothing is sent for a while');
    await app.pubsub.notify(Orders, 'near');
    await received.next();
  });
});
