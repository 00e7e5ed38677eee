import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { ListenConnection } from '../../../lib/connection/listen-connection.js';
import type { ConnectionState, PubSubEvent } from '../../../lib/common/events.js';
import { Mailbox } from '../../support/mailbox.js';
import { TcpProxy } from '../../support/tcp-proxy.js';
import { useDatabase } from '../../support/use-database.js';

const PAUSE_MS = 30_000;
/** A small part of the pause, and much longer than opening a connection takes. */
const SOON_MS = 15_000;

const database = useDatabase();
let proxy: TcpProxy;
beforeEach(async () => {
  proxy = await TcpProxy.start(database.url);
  vi.spyOn(Math, 'random').mockReturnValue(1); // every pause lasts 30 s
});
afterEach(async () => {
  vi.restoreAllMocks();
  await proxy[Symbol.asyncDispose]();
});

async function open() {
  const events = new Mailbox<PubSubEvent>();
  const states = new Mailbox<ConnectionState>();
  const received = new Mailbox<string>();
  const client = await database.client();
  const connection = new ListenConnection({
    config: () => ({ connectionString: proxy.url, application_name: 'test:listen' }),
    canConnect: () => true,
    isDirected: true,
    heartbeat: { intervalMs: 10_000, timeoutMs: 5_000 },
    reconnect: { minDelayMs: PAUSE_MS, maxDelayMs: PAUSE_MS },
    pool: () => ({ query: async (sql, parameters) => (await client.query(sql, parameters)).rows }),
    receive: ({ text }) => received.push(text),
    report: events.push,
  });
  connection.state$.subscribe(states.push);
  const nextEvent = (type: PubSubEvent['type']) => events.find((found) => found.type === type);
  return {
    connection,
    client,
    events,
    states,
    received,
    nextEvent,
    [Symbol.asyncDispose]: () => connection.stop(),
  };
}

/** Fails unless `work` is done long before a pause would end. */
async function soon<T>(work: () => Promise<T>): Promise<T> {
  const started = performance.now();
  const result = await work();
  expect(performance.now() - started).toBeLessThan(SOON_MS);
  return result;
}

describe('reopenNow()', () => {
  it('ends the pause after a loss', async () => {
    await using opened = await open();
    const { connection, client, received, nextEvent } = opened;
    connection.listen('orders');
    await connection.start();
    await database.terminateListeners();
    await nextEvent('disconnected');
    await soon(async () => {
      connection.reopenNow();
      await nextEvent('reconnected');
      await client.query("notify orders, 'after'");
      expect(await received.next()).toBe('after');
    });
  });

  it('ends the pause after a failed attempt when the server is available again', async () => {
    await using opened = await open();
    const { connection, events, nextEvent } = opened;
    await connection.start();
    proxy.cut();
    await nextEvent('disconnected');
    connection.reopenNow();
    const failed = await nextEvent('reconnecting');
    expect(failed).toMatchObject({ attempt: 2, delayMs: PAUSE_MS });
    proxy.restore();
    await soon(async () => {
      connection.reopenNow();
      await nextEvent('reconnected');
    });
    expect(events.all.filter(({ type }) => type === 'reconnecting')).toHaveLength(1);
  });

  it('ends the pause before the first session', async () => {
    await using opened = await open();
    const { connection, states, nextEvent } = opened;
    proxy.cut();
    connection.listen('orders');
    connection.startWhenWanted();
    await nextEvent('reconnecting');
    proxy.restore();
    await soon(async () => {
      connection.reopenNow();
      await states.find((state) => state === 'listening');
    });
  });

  it('does nothing while the connection is open or closed', async () => {
    await using opened = await open();
    const { connection, states, nextEvent } = opened;
    connection.reopenNow();
    await connection.start();
    connection.reopenNow();
    await database.terminateListeners();
    await nextEvent('disconnected');
    await soon(() => connection.stop()); // during the pause
    connection.reopenNow();
    expect(states.all).toEqual(['closed', 'connecting', 'listening', 'reconnecting', 'closed']);
  });
});
