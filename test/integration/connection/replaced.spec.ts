import { Injectable } from '@nestjs/common';
import {
  Listener,
  OnGap,
  type ConnectionState,
  type Gap,
  type PgPubSubOptions,
  type PubSubEvent,
} from 'nestjs-pgpubsub';
import pg from 'pg';
import { describe, expect, it } from 'vitest';
import { TestApp } from '../../support/app.js';
import { TestDatabase } from '../../support/database.js';
import { Mailbox, eventually } from '../../support/mailbox.js';
import { PgBouncer } from '../../support/pg-bouncer.js';
import { TcpProxy } from '../../support/tcp-proxy.js';
import { useDatabase } from '../../support/use-database.js';

const INTERVAL_MS = 100;

const database = useDatabase();

interface Setup {
  readonly url?: string;
  readonly connection?: PgPubSubOptions['connection'];
  readonly intervalMs?: number;
}

/**
 * Listens to "orders" and "invoices"; with the channel of the self-test these are three channels.
 */
async function startListening({ url = database.url, connection, intervalMs = INTERVAL_MS }: Setup) {
  const received = new Mailbox<unknown>();
  const gaps = new Mailbox<Gap>();
  const states = new Mailbox<ConnectionState>();
  const lost = new Mailbox<PubSubEvent>();
  @Injectable()
  class Orders {
    @Listener('orders')
    onOrder(payload: unknown) {
      received.push(payload);
    }
    @Listener('invoices')
    onInvoice(payload: unknown) {
      received.push(payload);
    }
    @OnGap()
    onGap(gap: Gap) {
      gaps.push(gap);
    }
  }
  const heartbeat = { intervalMs, timeoutMs: 3_000 };
  const options = { heartbeat, reconnect: { minDelayMs: 10 }, ...(connection && { connection }) };
  const app = await TestApp.start({ url, providers: [Orders], options });
  app.pubsub.connection$.subscribe(states.push);
  app.pubsub.events$.subscribe((event) => event.type === 'disconnected' && lost.push(event));
  /** Waits until the server has answered that number of heartbeats. */
  const heartbeats = async (count: number) => {
    for (let answered = 0; answered < count; answered++) {
      const heard = async () => (await app.pubsub.status()).connection.lastHeardAt;
      const before = await heard();
      await eventually(async () => (await heard()) !== before, 'a heartbeat is answered');
    }
  };
  return { app, received, gaps, states, lost, heartbeats };
}

async function startBehindProxy(setup: Setup = {}) {
  const proxy = await TcpProxy.start(database.url);
  const listening = await startListening({ connection: proxy.url, ...setup });
  return {
    proxy,
    ...listening,
    async [Symbol.asyncDispose]() {
      await listening.app.close();
      await proxy[Symbol.asyncDispose]();
    },
  };
}

describe('a server session that changes behind the open LISTEN connection', () => {
  it.each<[string, RegExp, (proxy: TcpProxy) => Promise<void>]>([
    [
      'is replaced by another one',
      /was replaced: backend \d+ instead of \d+, 0 channels instead of 3/,
      (proxy) => proxy.replaceUpstream(),
    ],
    [
      'executes UNLISTEN *',
      /has lost channels: it listens to 0 channels instead of 3/,
      (proxy) => proxy.inject('unlisten *'),
    ],
    [
      'is reset by a pooler',
      /has lost channels: it listens to 0 channels instead of 3/,
      (proxy) => proxy.inject('discard all'),
    ],
    [
      'loses one channel',
      /has lost channels: it listens to 2 channels instead of 3/,
      (proxy) => proxy.inject('unlisten "orders"'),
    ],
  ])('%s: the connection is reopened, and the gap is reported', async (_what, reason, change) => {
    await using listening = await startBehindProxy();
    const { app, proxy, received, gaps, states, lost } = listening;
    await listening.heartbeats(2);
    await change(proxy);
    const changedAt = Date.now();
    await app.pubsub.notify('orders', 'lost');

    const gap = await gaps.next();
    expect(gap.from.getTime()).toBeLessThanOrEqual(changedAt);
    expect(gap.channels.toSorted()).toEqual(['invoices', 'orders']);
    await app.pubsub.notify('orders', 'after');
    expect(await received.next()).toBe('after');
    await eventually(() => states.all.at(-1) === 'listening', 'the state is listening');
    expect(states.all).toEqual(['listening', 'reconnecting', 'listening']);
    expect(lost.all).toHaveLength(1);
    const line = await app.log.find(({ text }) => text.startsWith('Lost the LISTEN connection'));
    expect(line.text).toMatch(reason);
    await listening.heartbeats(3);
    expect(lost.all).toHaveLength(1);
  });

  it('is detected before the first heartbeat was answered', async () => {
    await using listening = await startBehindProxy({ intervalMs: 1_000 });
    const { app, proxy, received, gaps } = listening;
    await proxy.replaceUpstream();
    await gaps.next();
    await app.pubsub.notify('orders', 'after');
    expect(await received.next()).toBe('after');
    await app.log.find(({ text }) => text.includes('it listens to 0 channels instead of 3'));
  });

  it('is detected each time', async () => {
    await using listening = await startBehindProxy();
    const { app, proxy, received, gaps } = listening;
    for (let round = 0; round < 4; round++) {
      await proxy.replaceUpstream();
      await gaps.next();
      await app.pubsub.notify('invoices', round);
      expect(await received.next()).toBe(round);
    }
  });

  it('opens the gap at the last complete heartbeat, although other channels received notifications', async () => {
    await using listening = await startBehindProxy({ intervalMs: 500 });
    const { app, proxy, received, gaps } = listening;
    await listening.heartbeats(1);
    await proxy.inject('unlisten "orders"');
    const changedAt = Date.now();
    await app.pubsub.notify('invoices', 'heard');
    expect(await received.next()).toBe('heard');
    expect((await gaps.next()).from.getTime()).toBeLessThanOrEqual(changedAt);
  });
});

describe('a server session that does not change', () => {
  it('is kept while channels are added and removed', async () => {
    await using listening = await startBehindProxy();
    const { app, received, lost, gaps } = listening;
    for (let round = 0; round < 5; round++) {
      const observers = ['a', 'b', `c${round}`].map((channel) => app.pubsub.observe(channel).subscribe());
      await listening.heartbeats(1);
      for (const observer of observers) observer.unsubscribe();
      await app.pubsub.notify('orders', round);
      expect(await received.next()).toBe(round);
    }
    await listening.heartbeats(2);
    expect([lost.all, gaps.all]).toEqual([[], []]);
  });

  it('is kept when the server rejected a channel', async () => {
    await using latin = await TestDatabase.create(undefined, "encoding 'LATIN1' template template0");
    const { app, lost, heartbeats } = await startListening({ url: latin.url });
    await using _app = app;
    app.pubsub.observe('🎉', 'a').subscribe();
    await app.log.find(({ text }) => text.includes('rejected LISTEN on channel "🎉"'));
    await heartbeats(3);
    expect(lost.all).toEqual([]);
    await latin.terminateListeners();
    await eventually(() => lost.all.length === 1, 'the session is over');
    await heartbeats(3);
    expect(lost.all).toHaveLength(1);
  });

  it('is kept with any type parsers of the connection', async () => {
    const types = { getTypeParser: () => () => 'parsed' } as never;
    const connection = { connectionString: database.url, types };
    const { app, lost, heartbeats } = await startListening({ connection });
    await using _app = app;
    await heartbeats(3);
    expect(lost.all).toEqual([]);
  });
});

/**
 * Runs statements of two clients without a pause, so that those of a third client use changing
 * sessions.
 */
async function keepBusy(url: string): Promise<AsyncDisposable> {
  const over = new AbortController();
  const run = async (client: pg.Client) => {
    while (!over.signal.aborted) await client.query('select pg_sleep(random() / 50)');
    await client.end();
  };
  const clients = [new pg.Client(url), new pg.Client(url)];
  for (const client of clients) await client.connect();
  const runs = clients.map(run);
  return {
    async [Symbol.asyncDispose]() {
      over.abort();
      await Promise.all(runs);
    },
  };
}

describe('a deaf connection', () => {
  it('is kept when its server session changes, because nothing is lost on it', async () => {
    await using elsewhere = await TestDatabase.create();
    await using proxy = await TcpProxy.start(elsewhere.url);
    const { app, states, lost, heartbeats } = await startListening({ connection: proxy.url });
    await using _app = app;
    await states.find((state) => state === 'deaf');
    await proxy.replaceUpstream();
    await heartbeats(3);
    await proxy.inject('unlisten *');
    await heartbeats(3);
    expect([lost.all, states.all]).toEqual([[], ['deaf']]);
  });

  it.skipIf(!PgBouncer.isInstalled)(
    'is kept behind PgBouncer, which changes the server session',
    async () => {
      await using pooler = await PgBouncer.start(database.url, 3);
      await using _others = await keepBusy(pooler.url);
      const { app, states, lost, heartbeats } = await startListening({ connection: pooler.url });
      await using _app = app;
      await states.find((state) => state === 'deaf');
      await app.log.find(({ text }) => text.includes('goes through a transaction pooler'));
      await heartbeats(10);
      expect([lost.all, states.all]).toEqual([[], ['deaf']]);
    },
  );
});
