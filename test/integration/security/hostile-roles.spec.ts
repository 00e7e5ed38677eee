import { NotifyChanges } from 'nestjs-pgpubsub';
import type pg from 'pg';
import { Column, Entity, PrimaryGeneratedColumn } from 'typeorm';
import { describe, expect, it } from 'vitest';
import { Database } from '../../../lib/triggers/database.js';
import { readText, sectionOf } from '../../support/documents.js';
import { FORGED_CHANGES, FORGED_ENVELOPES } from '../../support/forgeries.js';
import { heapMegabytes } from '../../support/heap.js';
import {
  CHANNELS,
  Invoice,
  KINDS,
  Moves,
  Orders,
  POOL_SIZE,
  Scene,
  attempt,
  nameIn,
} from '../../support/hostile-roles.js';
import { eventually } from '../../support/mailbox.js';

/**
 * Roles of the database other than the application's, each with all that it may do. No listener
 * gets a row that was not declared on its channel, no channel stops, no write of the application
 * fails, nothing runs as another role, no foreign object appears in a migration, and memory stays
 * bounded.
 */

const NOTIFY = 'select pg_notify($1, $2)';

/** Sends each text on each channel, in a transaction of its own. */
async function send(client: pg.Client, texts: readonly string[], channels = CHANNELS): Promise<void> {
  for (const channel of channels) for (const text of texts) await client.query(NOTIFY, [channel, text]);
}

const isPolluted = () => 'polluted' in {};

describe.each(KINDS)('a role that %s', (kind) => {
  it('cannot make a listener get a change that is not declared on its channel', async () => {
    await using scene = await Scene.start(kind);
    await send(await scene.hostile(), FORGED_CHANGES);
    await scene.expectToWork();
    const secrets = scene.calls.all.filter(({ payload }) => JSON.stringify(payload).includes('secret'));
    expect(secrets).toEqual([]);
    for (const { listener, payload } of scene.foreignCalls)
      expect([listener, payload]).toEqual(['author', expect.objectContaining({ schema: 'public', table: 'author' })]); // prettier-ignore
    for (const { payload } of scene.calls.all.filter(({ listener }) => listener === 'author'))
      expect(['insert', 'update']).toContain((payload as { operation: string }).operation);
    expect(isPolluted()).toBe(false);
  });

  it('cannot break a channel with forged envelopes and contexts', async () => {
    await using scene = await Scene.start(kind);
    await send(await scene.hostile(), FORGED_ENVELOPES);
    await scene.expectToWork();
    expect(scene.foreignCalls).toEqual([]);
    expect(isPolluted()).toBe(false);
  });

  it('cannot stop a channel with hints', async () => {
    await using scene = await Scene.start(kind);
    const hostile = await scene.hostile();
    await send(hostile, [...FORGED_CHANGES, ...FORGED_ENVELOPES, ...CHANNELS, '__proto__', 'constructor'], ['pgpubsub']); // prettier-ignore
    await hostile.query(`select pg_notify('pgpubsub', 'unknown ' || i) from generate_series(1, 20000) as i`);
    for (const channel of CHANNELS)
      for (let count = 0; count < 200; count++) await hostile.query(NOTIFY, ['pgpubsub', channel]);
    await scene.expectToWork();
    expect(scene.foreignCalls).toEqual([]);
  });

  it('cannot store or complete notifications with functions of the application', async () => {
    await using scene = await Scene.start(kind);
    const { pubsub } = scene.app;
    await pubsub.notify(Orders, { name: 'waits' }, { delayMs: 3_600_000 });
    const hostile = await scene.hostile();
    for (const call of await callsOfFunctions(hostile)) await attempt(hostile, call);
    await scene.expectToWork();
    expect(await pubsub.stored.count({ channel: Orders })).toBe(1);
    if (kind === 'has the documented grants') return; // may store with them
    expect(scene.foreignCalls).toEqual([]);
  });

  it('cannot stop a channel with open transactions', async () => {
    await using scene = await Scene.start(kind);
    for (const isolation of ['read committed', 'serializable']) {
      const hostile = await scene.hostile();
      await hostile.query(`begin isolation level ${isolation}`);
      const statements = [
        `select pg_notify('pgpubsub', 'orders')`,
        `insert into pgpubsub_notification (channel, payload) values ('orders', '{"name":"open"}')`,
        `insert into pgpubsub_notification (channel, payload, key) values ('moves', '{"name":"open"}', 'open')`,
        ...['access share', 'row share', 'row exclusive', 'share', 'access exclusive'].flatMap(
          (mode) =>
          ['author', 'invoice', 'pgpubsub_notification'].map((table) => `lock table ${table} in ${mode} mode nowait`), // prettier-ignore
        ),
      ];
      for (const statement of statements) {
        await hostile.query('savepoint before');
        if (await attempt(hostile, statement)) await hostile.query('rollback to before');
      }
    }
    await scene.expectToWork();
    expect(scene.foreignCalls).toEqual([]);
  });
});

@Entity('author')
@NotifyChanges({ channel: 'author', on: ['insert', 'update'] })
class AuthorWithBio {
  @PrimaryGeneratedColumn() id!: number;
  @Column('text') name!: string;
  @Column('text', { nullable: true }) bio!: string | null;
}

describe('a role that takes the advisory locks of the application', () => {
  // Every role can read the number of a key's lock in pg_locks, and take it: see decision 14.
  it.fails('blocks no key of an ordered channel', async () => {
    await using scene = await Scene.start('may only connect');
    const { pubsub } = scene.app;
    scene.onCall = async ({ payload }) => {
      if (nameIn(payload) === 'first') await takeAdvisoryLocks(scene);
    };
    await pubsub.notify(Moves, { name: 'first' }, { key: 'key' });
    await scene.arrives('first', 'moves');
    await eventually(async () => (await pubsub.stored.count({ channel: Moves })) === 0, 'it is handled');
    await pubsub.notify(Moves, { name: 'second' }, { key: 'key' });
    await scene.arrives('second', 'moves');
    await scene.expectToWork();
  });

  it('blocks no key when the documented statements revoke the functions of advisory locks', async () => {
    await using scene = await Scene.start('may only connect');
    const rights = sectionOf(readText('docs/stored-notifications.md'), '## Rights');
    const [, revoke = ''] = /```sql\n([^`]*)```/.exec(rights) ?? [];
    await scene.administer(revoke.replaceAll('to application', `to ${scene.application}`));
    const hostile = await scene.hostile();
    const { rows } = await hostile.query<{ call: string }>(`
      select format('select %s(%s)', proname, array_to_string(array_fill('1'::text, array[pronargs::int]), ', ')) as call
      from pg_proc where proname like '%advisory%lock%' and proname not like '%unlock%'`);
    expect(rows.length).toBeGreaterThan(15);
    for (const { call } of rows)
      expect(String(await attempt(hostile, call))).toContain('permission denied for function');
    await scene.expectToWork();
    await (await scene.connect([AuthorWithBio, Invoice])).synchronize();
    await scene.expectToWork();
  });

  it('delays a synchronization for a limited time, and the error names it', async () => {
    await using scene = await Scene.start('may only connect');
    const source = await scene.connect([AuthorWithBio, Invoice]);
    const owner = await scene.own();
    await owner.query('begin; lock table author in access exclusive mode');
    const first = source.synchronize();
    await eventually(() => isAnyWaiting(scene, 'relation'), 'the synchronization waits for the table');
    await takeAdvisoryLocks(scene);
    await owner.query('commit');
    await first;
    await eventually(async () => (await countGranted(scene)) > 0, 'the role has the lock');
    const late = await Database.of(source)
      .synchronize({ lockTimeoutMs: 50 })
      .catch((error: unknown) => error);
    expect(late).toMatchObject({
      code: 'TIMED_OUT',
      message: expect.stringMatching(
        `within 50 ms, got a lock that process \\d+ holds \\(application "hostile", role "${scene.role}"\\).*pg_terminate_backend\\(\\d+\\)`,
      ) as string,
    });
    const runner = source.createQueryRunner();
    expect(await runner.query('show lock_timeout')).toEqual([{ lock_timeout: '0' }]);
    await runner.release();
    await scene.expectToWork();
  });
});

/** Calls of each function of the application with values of its types. */
async function callsOfFunctions(client: pg.Client): Promise<string[]> {
  const { rows } = await client.query<{ name: string; types: string[] }>(`
    select p.oid::regproc::text as name,
      array(select format_type(t, null) from unnest(p.proargtypes::oid[]) as t) as types
    from pg_proc p where p.pronamespace = 'public'::regnamespace and p.prorettype <> 'trigger'::regtype`);
  const values: Record<string, string> = {
    'bigint[]': 'array(select generate_series(1, 1000))::bigint[]',
    bigint: '1',
    integer: '1',
    text: `'orders'`,
    'text[]': 'null::text[]',
    json: `'{"name":"foreign"}'`,
    jsonb: `'{}'`,
    'timestamp with time zone': 'now()',
  };
  return rows.map(({ name, types }) => `select ${name}(${types.map((type) => values[type] ?? `null::${type}`).join()})`); // prettier-ignore
}

/**
 * Makes the hostile role wait for every granted advisory lock, to keep it. Resolves when it waits.
 */
async function takeAdvisoryLocks(scene: Scene): Promise<void> {
  const reader = await scene.hostile();
  const { rows } = await reader.query<{ lock: string }>(`
    select distinct case objsubid when 1 then format('%s', (classid::bigint << 32) | objid::bigint)
      else format('%s, %s', classid::bigint::bit(32)::int, objid::bigint::bit(32)::int) end as lock
    from pg_locks where locktype = 'advisory' and granted
      and database = (select oid from pg_database where datname = current_database())`);
  for (const { lock } of rows) {
    const client = await scene.hostile();
    await client.query(`set application_name = 'hostile'`);
    void client.query(`select pg_advisory_lock(${lock})`).catch(() => undefined);
  }
  await eventually(async () => (await countWaiting(scene, 'advisory')) >= rows.length, 'the role waits');
}

async function countGranted(scene: Scene): Promise<number> {
  const [row] = await scene.administer(`
    select count(*)::int as n from pg_locks l join pg_stat_activity a using (pid)
    where l.locktype = 'advisory' and l.granted and a.usename = '${scene.role}'`);
  return Number(row?.['n']);
}

async function countWaiting(scene: Scene, type: string): Promise<number> {
  const [row] = await scene.administer(`
    select count(*)::int as n from pg_locks where locktype = '${type}' and not granted
      and database = (select oid from pg_database where datname = current_database())`);
  return Number(row?.['n']);
}

const isAnyWaiting = async (scene: Scene, type: string) => (await countWaiting(scene, type)) > 0;

describe('rows that were too large', () => {
  it('arrive after any keys that a role that may only connect has sent before', async () => {
    await using scene = await Scene.start('may only connect');
    const { dataSource } = scene.app;
    const runners = Array.from({ length: POOL_SIZE }, () => dataSource.createQueryRunner());
    for (const runner of runners) await runner.connect(); // lookups wait for a connection, together
    const hostile = await scene.hostile();
    const keys = ['"x"', '"1 or true"', '1.5', '9999999999999', 'true', '{}', '[1]', 'null'];
    for (const key of keys)
      await hostile.query(NOTIFY, ['author', `{"operation":"insert","schema":"public","table":"author","old":null,"new":{"id":${key}},"truncated":true}`]); // prettier-ignore
    const name = 'proof '.padEnd(9_000, 'x');
    await (await scene.own()).query('insert into author (name) values ($1)', [name]);
    await eventually(() => received(scene, 'author') === keys.length + 1, 'all have arrived');
    for (const runner of runners) await runner.release();
    await scene.arrives(name, 'author');
    const rejected = () => scene.events.all.filter((event) => event.type === 'rejected');
    await eventually(() => rejected().length === keys.length - 1, 'the others are rejected'); // null is not a key
    for (const { error } of rejected()) expect(error).toMatchObject({ code: 'INVALID_PAYLOAD' });
    await scene.expectToWork();
  });
});

/** The number of notifications of a channel that were read from the socket. */
const received = ({ events }: Scene, channel: string): number =>
  events.all.reduce(
    (sum, event) => sum + (event.type === 'received' && event.channel === channel ? event.count : 0),
    0,
  );

describe('the memory of a process', () => {
  it('stays bounded while a role that may only connect floods every channel and a listener is slow', async () => {
    await using scene = await Scene.start('may only connect', { buffer: { maxSize: 100 } });
    const before = heapMegabytes();
    let release = () => undefined as void;
    const released = new Promise<void>((resolve) => (release = resolve));
    scene.onCall = () => released;
    const hostile = await scene.hostile();
    const FLOOD = 10_000;
    const texts = [
      ['posts', `json_build_object('name', rpad(i::text, 7900, 'x'))`],
      ['author', `json_build_object('operation', 'update', 'schema', 'public', 'table', 'author', 'old', json_build_object('id', i, 'name', rpad('', 7700, 'x')), 'new', json_build_object('id', i), 'truncated', true)`], // prettier-ignore
      ['invoice', `rpad(i::text, 7900, 'x')`],
      ['pgpubsub', `rpad(i::text, 7900, 'x')`],
    ];
    for (const [channel, text] of texts)
      await hostile.query(`select count(pg_notify('${channel}', (${text})::text)) from generate_series(1, ${FLOOD}) as i`); // prettier-ignore
    await eventually(
      () => received(scene, 'posts') >= FLOOD && received(scene, 'author') >= FLOOD,
      'all has arrived',
    );
    expect(heapMegabytes() - before).toBeLessThan(40); // 316 megabytes were sent
    release();
    scene.onCall = () => undefined;
    await scene.expectToWork();
  });
});
