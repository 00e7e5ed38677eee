import { defineChannel } from 'nestjs-pgpubsub';
import type { Pool } from 'pg';
import type { DataSource } from 'typeorm';
import { describe, expect, it } from 'vitest';
import { TestApp } from '../../support/app.js';
import { TestDatabase } from '../../support/database.js';
import { collector } from '../../support/listeners.js';
import { eventually } from '../../support/mailbox.js';
import { range, useStored } from '../../support/stored.js';
import { TcpProxy } from '../../support/tcp-proxy.js';

const { start, database, query } = useStored();

const Mails = defineChannel<number>('mails', { delivery: 'exactly-once' });
/** Short enough to wait for, and long enough for a busy machine. */
const TIMEOUT_MS = 3_000;
const QUICK = { heartbeat: { intervalMs: 60_000, timeoutMs: TIMEOUT_MS } } as const;

const listening = (app: TestApp) =>
  eventually(async () => (await app.pubsub.status()).connection.state === 'listening', 'it listens');

const poolOf = ({ driver }: DataSource) => (driver as unknown as { readonly master: Pool }).master; // the pool of pg

describe('status()', () => {
  it('is up without problems, and equals its JSON', async () => {
    await using app = await start({ providers: [collector('orders').provider] });

    const status = await app.pubsub.status();

    expect(status).toEqual({
      name: 'default',
      health: 'up',
      reasons: [],
      connection: {
        state: 'listening',
        since: expect.stringMatching(/^20\d\d-.+Z$/) as unknown,
        channels: ['orders'],
        lastHeardAt: expect.stringMatching(/^20\d\d-.+Z$/) as unknown,
        lastTestedAt: expect.stringMatching(/^20\d\d-.+Z$/) as unknown,
        reason: null,
      },
      channels: [],
      paused: { here: [], everywhere: [] },
      queueUsage: expect.closeTo(0) as unknown,
    });
    expect(JSON.parse(JSON.stringify(status))).toEqual(status);
  });

  it('is up in a process that only publishes, without a LISTEN connection', async () => {
    await using app = await start({
      providers: [collector('orders').provider],
      options: { listen: false },
    });

    await expect(app.pubsub.status()).resolves.toMatchObject({
      health: 'up',
      connection: { state: 'closed', channels: [], lastHeardAt: null, lastTestedAt: null },
    });
  });

  it('contains no channels without the tables', async () => {
    await using empty = await TestDatabase.create();
    await using app = await TestApp.start({ url: empty.url });

    await expect(app.pubsub.status()).resolves.toMatchObject({ health: 'up', channels: [] });
  });

  it('counts stored notifications by channel', async () => {
    await using app = await start();
    await app.pubsub.notifyMany(Mails, [1, 2, 3]);
    await app.pubsub.notify(Mails, 4, { delayMs: 3_600_000 });
    await query(`update pgpubsub_notification set attempts = 1 where payload::text = '3'`);

    const { channels, health } = await app.pubsub.status();

    expect(health).toBe('up');
    expect(channels).toEqual([
      {
        channel: 'mails',
        waiting: 4,
        due: 3,
        retrying: 1,
        oldestAgeMs: expect.any(Number) as unknown,
        overdueMs: expect.any(Number) as unknown,
        dead: 0,
      },
    ]);
    await app.pubsub.stored.purge({});
  });

  it('is degraded when no process claims due notifications', async () => {
    await using app = await start();
    await app.pubsub.notify(Mails, 1);
    await query(
      `update pgpubsub_notification set created_at = now() - interval '6 minutes', available_at = now() - interval '6 minutes'`,
    );

    await expect(app.pubsub.status()).resolves.toMatchObject({
      health: 'degraded',
      reasons: [expect.stringMatching(/^"mails": 1 due notification unclaimed for 36\d s$/)],
    });
    await expect(app.pubsub.status({ maxBacklogAgeMs: 3_600_000 })).resolves.toMatchObject({ health: 'up' });
    await app.pubsub.stored.purge({});
  });

  it('is degraded by dead letters, unless the limit is raised', async () => {
    await using app = await start();
    await query(
      `insert into pgpubsub_dead_letter (id, channel, listener, created_at) values (1, 'mails', 'Mailer.send', now())`,
    );

    await expect(app.pubsub.status()).resolves.toMatchObject({
      health: 'degraded',
      reasons: ['1 dead letter: 1 of "mails"'],
      channels: [{ channel: 'mails', waiting: 0, dead: 1, oldestAgeMs: null, overdueMs: 0 }],
    });
    await expect(app.pubsub.status({ maxDeadLetters: Infinity })).resolves.toMatchObject({ health: 'up' });
    await app.pubsub.stored.discard({});
  });

  it('is degraded while the connection is deaf, with the reason', async () => {
    await using other = await TestDatabase.create();
    await using app = await start({
      providers: [collector('orders').provider],
      options: { ...QUICK, connection: other.url },
    });

    await expect(app.pubsub.status()).resolves.toMatchObject({
      health: 'degraded',
      reasons: [expect.stringMatching(/deaf.+is in the database/)],
      connection: {
        state: 'deaf',
        lastTestedAt: null,
        reason: expect.stringContaining(other.name) as unknown,
      },
    });
  });

  it('is degraded, then down, while the LISTEN connection is lost', async () => {
    const proxy = await TcpProxy.start(database.url);
    await using app = await start({
      providers: [collector('orders').provider],
      options: { connection: proxy.url },
    });
    await proxy[Symbol.asyncDispose]();
    await eventually(
      async () => (await app.pubsub.status()).connection.reason?.includes('ECONNREFUSED') === true,
      'it has tried again',
    );

    const { health, reasons, connection } = await app.pubsub.status();

    expect(health).toBe('degraded');
    expect(reasons).toEqual([
      expect.stringMatching(/^the LISTEN connection has been reconnecting for \d+ s: .*ECONNREFUSED/),
    ]);
    expect(connection.lastHeardAt).not.toBeNull();
    expect(connection.lastTestedAt).not.toBeNull();
    await expect(app.pubsub.status({ maxReconnectingMs: 0 })).resolves.toMatchObject({ health: 'down' });
  });

  it('is down when the database is unavailable', async () => {
    const proxy = await TcpProxy.start(database.url);
    await using app = await start({ url: proxy.url });
    await proxy[Symbol.asyncDispose]();

    await expect(app.pubsub.status()).resolves.toMatchObject({
      health: 'down',
      reasons: [expect.stringMatching(/^the database does not answer: /)],
      channels: [],
      queueUsage: null,
    });
  });

  it('is down, within a limited time, when the database does not answer', async () => {
    const proxy = await TcpProxy.start(database.url);
    await using app = await start({ url: proxy.url, options: QUICK });
    await listening(app);
    proxy.silence();
    const began = performance.now();

    const { health, reasons } = await app.pubsub.status();

    expect(performance.now() - began).toBeLessThan(TIMEOUT_MS + 10_000);
    expect(health).toBe('down');
    expect(reasons).toEqual([expect.stringContaining(`expected an answer within ${TIMEOUT_MS} ms`)]);
    await proxy[Symbol.asyncDispose](); // ends the pending statements
  });

  it('is down when the pool is exhausted, and adds at most two waiting requests to it', async () => {
    await using app = await start({ options: QUICK, dataSource: { poolSize: 1 } });
    const runner = app.dataSource.createQueryRunner();
    await runner.connect();

    const probes = await Promise.all(range(4).map(() => app.pubsub.status()));
    expect(probes.map(({ health }) => health)).toEqual(['down', 'down', 'down', 'down']);
    expect(poolOf(app.dataSource).waitingCount).toBeLessThanOrEqual(2);

    await runner.release();
    await eventually(async () => (await app.pubsub.status()).health === 'up', 'it is up again');
  });

  it('returns its connection when a table is locked', async () => {
    await using app = await start({ options: QUICK, dataSource: { poolSize: 1 } });
    const client = await database.client();
    await client.query('begin; lock table pgpubsub_notification');

    await expect(app.pubsub.status()).resolves.toMatchObject({ queueUsage: null });
    await expect(app.dataSource.query('select 1 as one')).resolves.toEqual([{ one: 1 }]);

    await client.query('rollback');
    await expect(app.pubsub.status()).resolves.toMatchObject({ health: 'up' });
  });

  it('contains no channels for a role that may not read them', async () => {
    const role = `writer_${database.name}`;
    await query(`create role ${role}`);
    await using app = await start({ dataSource: { extra: { options: `-c role=${role}` } } });

    await expect(app.pubsub.status()).resolves.toMatchObject({ health: 'up', channels: [] });
    await query(`drop role ${role}`);
  });

  it('rejects an unknown limit', async () => {
    await using app = await start();

    await expect(app.pubsub.status({ maxAge: 5 } as object)).rejects.toMatchObject({
      code: 'INVALID_ARGUMENT',
      message: expect.stringContaining('got "maxAge"') as unknown,
    });
  });
});
