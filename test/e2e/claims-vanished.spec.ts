import { Injectable } from '@nestjs/common';
import { Listener, defineChannel, type Notification } from 'nestjs-pgpubsub';
import { afterAll, beforeAll, describe, expect, inject, it } from 'vitest';
import type { Server } from '../../tools/embedded-postgres.js';
import { Mailbox, eventually } from '../support/mailbox.js';
import { StoredDatabase, StoredWorker } from '../support/stored-worker.js';
import { useStored } from '../support/stored.js';
import { VanishingHost, startPostgresOn } from '../support/vanishing-host.js';

const isForeign = process.env['DATABASE_URL'] !== undefined;
const isPossible = !isForeign && VanishingHost.isPossible;
const skipped = isPossible ? '' : ' (skipped: needs root, ip netns, and a server of its own)';

const DEAD_PEER_MS = 2_000;
/** The keep-alives need twice the option. The rest is a margin for a slow test machine. */
const FREE_MS = 4 * DEAD_PEER_MS + 10_000;
const HANDLED_MS = 60_000;

/** A trigger in which a handler that writes an effect waits for the advisory lock. */
const WAIT_IN_HANDLER = `
  create function wait_for_test() returns trigger language plpgsql as $$
  begin
    perform pg_advisory_xact_lock(4711);
    return new;
  end $$;
  create trigger wait_for_test before insert on effect for each row execute function wait_for_test()`;

describe.skipIf(!isPossible)(`a machine that vanishes in the middle of a claim${skipped}`, () => {
  let host: VanishingHost;
  let server: Server;
  let urlOf: (url: string) => string;
  beforeAll(async () => {
    host = VanishingHost.create();
    ({ server, urlOf } = await startPostgresOn(host.gateway, host.network));
  });
  afterAll(async () => {
    await host?.[Symbol.asyncDispose]();
    await server?.stop();
  });

  it('releases its rows, whether or not an answer of the server was on its way', async () => {
    const databases = await Promise.all(
      ['silent', 'unanswered'].map(() => StoredDatabase.create(server.url)),
    );
    const [silent, unanswered] = databases as [StoredDatabase, StoredDatabase];
    const settings = { name: 'vanished', options: { deadPeerTimeoutMs: DEAD_PEER_MS, concurrency: 1 } };
    const locker = await unanswered.client();
    await unanswered.query(WAIT_IN_HANDLER);
    await locker.query('select pg_advisory_lock(4711)');

    // the handler waits, and no data is in transit
    const waiting = await host.startWorker(urlOf(silent.url), settings);
    await silent.store('tasks', [{ n: 1 }, { n: 2, act: 'wait' }, { n: 3 }]);
    await waiting.reports.find(({ type }) => type === 'waiting');
    // the server runs the statement of the handler, and answers after the machine is gone
    await host.startWorker(urlOf(unanswered.url), settings);
    await unanswered.store('tasks', [{ n: 1 }, { n: 2 }, { n: 3 }]);
    const blocked = "select count(*)::int as n from pg_locks where locktype = 'advisory' and not granted";
    await eventually(
      async () => (await locker.query<{ n: number }>(blocked)).rows[0]?.n === 1,
      'the handler waits',
    );

    const claiming = await Promise.all(databases.map(claimingSession));
    host.vanish();
    const vanishedAt = Date.now();
    await locker.query('select pg_advisory_unlock(4711)');
    await using survivor = await StoredWorker.start(silent.url, { name: 'survivor' });
    await using _other = await StoredWorker.start(unanswered.url, { name: 'survivor' });

    const isOver = async ({ backend, database }: ClaimingSession) => {
      const sql =
        "select count(*)::int as n from pg_stat_activity where pid = $1 and application_name = 'vanished'";
      const [row] = await database.query<{ n: number }>(sql, [backend]);
      return row?.n === 0;
    };
    await Promise.all(
      claiming.map((session) =>
        eventually(() => isOver(session), 'the session of the claim is over', FREE_MS),
      ),
    );
    await survivor.reported('waiting');
    survivor.send({ type: 'release' });
    await Promise.all(databases.map((database) => database.drained()));
    expect(Date.now() - vanishedAt).toBeLessThan(HANDLED_MS);
    for (const database of databases) {
      const effects = await database.effects<{ n: number }>('work');
      expect(effects.map(({ n }) => n).toSorted((a, b) => a - b)).toEqual([1, 2, 3]);
      expect(await database.count("effect where process = 'survivor'")).toBeGreaterThan(0);
      expect(await database.deadLetters()).toEqual([]);
    }
  });
});

interface ClaimingSession {
  readonly backend: number;
  readonly database: StoredDatabase;
}

/** Returns the session of the claim: the only one with a transaction that writes. */
async function claimingSession(database: StoredDatabase): Promise<ClaimingSession> {
  const rows = await database.query<{ pid: number }>(
    `select pid from pg_stat_activity
      where datname = current_database() and application_name = 'vanished' and backend_xid is not null`,
  );
  expect(rows).toHaveLength(1);
  return { backend: rows[0]?.pid ?? 0, database };
}

describe('the settings for dead peers', () => {
  const stored = useStored();
  const Peers = defineChannel<number>('peers', { delivery: 'exactly-once' });
  const names = [
    'tcp_user_timeout',
    'tcp_keepalives_idle',
    'tcp_keepalives_interval',
    'tcp_keepalives_count',
  ];
  const READ = `select ${names.map((name) => `current_setting('${name}', true) as ${name}`).join(', ')}`;
  const shown = (user: string, idle: string, interval: string) => ({
    tcp_user_timeout: inject('serverVersion') >= 120_000 ? user : null,
    tcp_keepalives_idle: idle,
    tcp_keepalives_interval: interval,
    tcp_keepalives_count: '3',
  });

  it.each([
    ['with the default of 30 s', {}, shown('30000', '10', '6')],
    ['with the option', { deadPeerTimeoutMs: 12_345 }, shown('12345', '4', '2')],
    ['with the minimum that TCP supports', { deadPeerTimeoutMs: 1_000 }, shown('1000', '1', '1')],
  ])('are in force only in the transaction of a claim: %s', async (_what, options, expected) => {
    const found = new Mailbox<Record<string, string | null>>();
    @Injectable()
    class Reader {
      @Listener(Peers)
      async read(_: number, { manager }: Notification) {
        const [settings] = await manager.query<Record<string, string | null>[]>(READ);
        found.push(settings ?? {});
      }
    }
    await using app = await stored.start({ providers: [Reader], options, dataSource: { poolSize: 1 } });
    const [before] = await app.dataSource.query<Record<string, string | null>[]>(READ);
    await app.pubsub.notify(Peers, 1);
    const during = await found.next();
    expect(
      Object.fromEntries(Object.entries(during).map(([name, value]) => [name, inMs(name, value)])),
    ).toEqual(expected);
    await stored.settled(Peers);
    const [after] = await app.dataSource.query<Record<string, string | null>[]>(READ);
    expect(after).toEqual(before);
    expect(after).not.toEqual(during);
  });
});

/** Converts `tcp_user_timeout`, which PostgreSQL shows with its unit, to milliseconds. */
function inMs(name: string, value: string | null): string | null {
  if (name !== 'tcp_user_timeout' || value === null) return value;
  const [, number, unit] = /^(\d+)(ms|s|min)?$/.exec(value) ?? [];
  return String(Number(number) * (unit === 's' ? 1_000 : unit === 'min' ? 60_000 : 1));
}
