import { AsyncLocalStorage } from 'node:async_hooks';
import { Injectable } from '@nestjs/common';
import { Listener, OnGap, type Gap } from 'nestjs-pgpubsub';
import { expect, it } from 'vitest';
import { TestApp } from '../../support/app.js';
import { TestDatabase } from '../../support/database.js';
import { Mailbox, eventually } from '../../support/mailbox.js';
import { TcpProxy } from '../../support/tcp-proxy.js';
import { useListening } from '../../support/listening.js';

const { database, startListening } = useListening();

it('a LISTEN connection opens again after the server ended its session, reports the gap, and keeps its observers', async () => {
  const { app, received, gaps, states } = await startListening();
  await using _app = app;
  const observed = new Mailbox<unknown>();
  app.pubsub.observe('observed').subscribe(({ payload }) => observed.push(payload));
  const fromStream = new Mailbox<Gap>();
  app.pubsub.gaps$.subscribe(fromStream.push);
  const before = new Date();
  expect(await database.terminateListeners()).toBe(1);

  const gap = await gaps.next();
  expect(gap.channels.toSorted()).toEqual(['observed', 'orders']);
  expect(gap.from.getTime()).toBeLessThanOrEqual(gap.to.getTime());
  expect(gap.to.getTime()).toBeGreaterThanOrEqual(before.getTime());
  expect(await fromStream.next()).toEqual(gap);
  await states.find((state) => state === 'reconnecting');
  await app.pubsub.notify('orders', 'after');
  await app.pubsub.notify('observed', 'after');
  expect([await received.next(), await observed.next()]).toEqual(['after', 'after']);
  await eventually(() => states.all.at(-1) === 'listening', 'the state is listening');
  expect(states.all).toEqual(['listening', 'reconnecting', 'listening']);
  await app.log.find(
    ({ level, text }) => level === 'error' && text.includes('Orders.failsOnGap failed: no cache to clear'),
  );
  await app.log.find(({ text }) =>
    text.startsWith(
      'Lost the LISTEN connection, reconnecting: terminating connection due to administrator command',
    ),
  );
});

it('a LISTEN connection adds all channels in one round trip', async () => {
  const { app } = await startListening();
  await using _app = app;
  const sql = "select query from pg_stat_activity where datname = $1 and application_name like '%:listen'";
  const last = async () => (await database.query<{ query: string }>(sql, [database.name]))[0]?.query;
  app.pubsub.observe('a', 'b').subscribe();
  app.pubsub.observe('c').subscribe();
  await eventually(
    async () => (await last()) === 'listen "a"; listen "b"; listen "c"',
    'three are listened to at once',
  );
  const gap = new Mailbox<Gap>();
  app.pubsub.gaps$.subscribe(gap.push);
  await database.terminateListeners();
  await gap.next();
  expect(await last()).toMatch(/^listen "pgpubsub:.*"; listen "orders"; listen "a"; listen "b"; listen "c"$/);
});

it('a LISTEN connection opens again after each of many losses', async () => {
  const { app, received, gaps } = await startListening({ reconnect: { minDelayMs: 10, maxDelayMs: 50 } });
  await using _app = app;
  for (let round = 0; round < 10; round++) {
    await eventually(async () => (await database.terminateListeners()) > 0, 'there is a session to end');
    await gaps.next();
    await app.pubsub.notify('orders', round);
    expect(await received.next()).toBe(round);
  }
});

it('the heartbeat detects a silent link, and the connection opens again', async () => {
  await using proxy = await TcpProxy.start(database.url);
  const { app, received, gaps } = await startListening({
    connection: proxy.url,
    heartbeat: { intervalMs: 50, timeoutMs: 3_000 },
  });
  await using _app = app;
  await app.pubsub.notify('orders', 'before');
  expect(await received.next()).toBe('before');
  proxy.silence();

  const gap = await gaps.next();
  expect(gap.from.getTime()).toBeLessThan(gap.to.getTime() - 150);
  await app.pubsub.notify('orders', 'after');
  expect(await received.next()).toBe('after');
});

it('an application closes in time although the link is silent', async () => {
  await using proxy = await TcpProxy.start(database.url);
  const { app } = await startListening({ connection: proxy.url, heartbeat: false });
  proxy.silence();
  await app.close();
});

it('a LISTEN connection to another database is deaf, and logs the reason', async () => {
  await using elsewhere = await TestDatabase.create();
  const { app, states } = await startListening({
    connection: elsewhere.url,
    heartbeat: { timeoutMs: 3_000, intervalMs: 50 },
  });
  await using _app = app;

  await states.find((state) => state === 'deaf');
  const reason = `the LISTEN connection is in the database "${elsewhere.name}", the DataSource in "${database.name}"`;
  await app.log.find(({ level, text }) => level === 'warn' && text.includes(reason));
});

it('a deaf connection listens again when the cause is gone, and reports the time as a gap', async () => {
  const { app, states, gaps } = await startListening({ heartbeat: { intervalMs: 50 } });
  await using _app = app;
  const { manager } = app.dataSource;
  const query = manager.query.bind(manager);
  manager.query = (() => Promise.reject(new Error('the pool is gone'))) as typeof manager.query;
  await database.terminateListeners();
  await states.find((state) => state === 'deaf');
  await app.log.find(({ text }) =>
    text.includes('the test notification could not be sent: the pool is gone'),
  );
  await gaps.next();
  manager.query = query;

  await gaps.next();
  expect(states.all.at(-1)).toBe('listening');
});

it('handlers never run in the context of a request, neither when it observes nor when the connection opens again', async () => {
  const requests = new AsyncLocalStorage<string>();
  const seen = new Mailbox<string | undefined>();
  @Injectable()
  class Orders {
    @Listener('orders')
    receive() {
      seen.push(requests.getStore());
    }
  }
  await using app = await database.start({
    providers: [Orders],
    options: { listen: true },
  });
  await requests.run('request 1', async () => {
    app.pubsub.observe('lazily').subscribe(() => seen.push(requests.getStore()));
    await database.terminateListeners();
    await Promise.all([app.pubsub.notify('lazily', 0), app.pubsub.notify('lazily', 1)]).catch(
      () => undefined,
    );
  });
  await eventually(() => app.log.all.some(({ text }) => text.startsWith('Listening again')), 'it is back');
  await requests.run('request 2', () => app.pubsub.notify('orders', 1));
  await requests.run('request 3', () => app.pubsub.notify('lazily', 1));
  await eventually(() => seen.all.length >= 2, 'both arrived');
  expect(new Set(seen.all)).toEqual(new Set([undefined]));
});

it('a LISTEN connection keeps its other channels when the server rejects one', async () => {
  await using latin = await TestDatabase.create(undefined, "encoding 'LATIN1' template template0");
  await using app = await TestApp.start({ url: latin.url });
  const received = new Mailbox<unknown>();
  app.pubsub.observe('orders').subscribe(({ payload }) => received.push(payload));
  app.pubsub.observe('🎉').subscribe();
  await app.log.find(
    ({ level, text }) => level === 'error' && text.includes('The server rejected LISTEN on channel "🎉"'),
  );
  await app.pubsub.notify('orders', 1);
  expect(await received.next()).toBe(1);

  const gaps = new Mailbox<Gap>();
  app.pubsub.gaps$.subscribe(gaps.push);
  await latin.terminateListeners();
  await gaps.next();
  await app.pubsub.notify('orders', 2);
  expect(await received.next()).toBe(2);
});

it('the pauses grow while each new session is lost immediately', async () => {
  const { app, states } = await startListening({ reconnect: { minDelayMs: 40, maxDelayMs: 1_000 } });
  await using _app = app;
  const lost = new Mailbox<unknown>();
  app.pubsub.events$.subscribe(
    (event) => /^(disconnected|reconnecting)$/.test(event.type) && lost.push(event),
  );
  for (let round = 0; round < 6; round++) {
    await eventually(async () => (await database.terminateListeners()) > 0, 'there is a session to end');
    await lost.next();
  }
  await app.log.find(({ text }) =>
    /Could not open the LISTEN connection, attempt \d+ in [\d.]+ m?s:/.test(text),
  );
  await eventually(() => states.all.at(-1) === 'listening', 'it listens again');
  expect(app.log.all.filter(({ text }) => text.startsWith('Listening to')).length).toBeLessThanOrEqual(2);
});

it('a closing application reports no gap and opens no session', async () => {
  const release = new Mailbox<() => void>();
  const gaps = new Mailbox<Gap>();
  @Injectable()
  class Holding {
    @Listener('orders')
    receive() {
      return new Promise<void>((resolve) => release.push(resolve));
    }
    @OnGap()
    onGap(gap: Gap) {
      gaps.push(gap);
    }
  }
  const app = await database.start({ providers: [Holding] });
  await app.pubsub.notify('orders', 1);
  const finish = await release.next();
  const closing = app.close();
  await database.terminateListeners();
  await eventually(async () => (await database.listenSessions()) === 0, 'the session is over');
  finish();
  await closing;
  expect(gaps.all).toEqual([]);
  expect(await database.listenSessions()).toBe(0);
});
