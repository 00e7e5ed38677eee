import { Injectable, type Provider, type Type } from '@nestjs/common';
import { Listener, defineChannel, type PollOptions } from 'nestjs-pgpubsub';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { Mailbox, eventually } from '../../support/mailbox.js';
import { recordStatements, useStored } from '../../support/stored.js';

const stored = useStored();
const MANY = 1_000;
/** Far fewer than one for each of many channels. */
const FEW = 50;
const RARELY = { intervalMs: 600_000, deafIntervalMs: 600_000 };
const OFTEN = { intervalMs: 500, deafIntervalMs: 500 };

afterEach(async () => {
  vi.restoreAllMocks();
  await stored.query('truncate pgpubsub_notification');
});

/** A provider with a listener on each of the channels, and the payloads that they handle. */
function listenersOf(channels: readonly ReturnType<typeof defineChannel>[]) {
  const handled = new Mailbox<unknown>();
  class Listeners {}
  for (const [index, channel] of channels.entries()) {
    const method = `handle${index}`;
    const descriptor = { value: (payload: unknown) => handled.push(payload), configurable: true };
    Object.defineProperty(Listeners.prototype, method, descriptor);
    Listener(channel)(Listeners.prototype, method, descriptor);
  }
  Injectable()(Listeners);
  return { handled, provider: Listeners as Type as Provider };
}

/** Starts an application with listeners on the channels `<prefix>:0` and so on. */
async function start(prefix: string, count: number, poll: PollOptions = RARELY, role = '') {
  const channels = Array.from({ length: count }, (_, index) =>
    defineChannel(`${prefix}:${index}`, { delivery: 'exactly-once' }),
  );
  const { handled, provider } = listenersOf(channels);
  const sent = recordStatements();
  const url = new URL(stored.database.url);
  if (role !== '') [url.username, url.password] = [role, role];
  const app = await stored.start({ providers: [provider], options: { poll }, url: url.href });
  const begun = () => sent.filter(({ text }) => text.startsWith('begin')).length;
  return { handled, app, begun, [Symbol.asyncDispose]: () => app.close() };
}

/** Stores a row without a hint, due after this time. */
const storeSilently = (channel: string, payload: string, delay = '0') =>
  stored.query(
    `insert into pgpubsub_notification (channel, payload, available_at) values ($1, to_json($2::text), clock_timestamp() + $3::interval)`,
    [channel, payload, delay],
  );

describe('1,000 exactly-once channels', () => {
  it('are checked by one statement at the start, which does not delay a hint', async () => {
    await storeSilently('start:999', 'stored before');
    await using many = await start('start', MANY);
    await many.app.pubsub.notify('start:500', 'hinted');
    expect(new Set(await many.handled.take(2))).toEqual(new Set(['hinted', 'stored before']));
    expect(many.begun()).toBeLessThan(FEW);
  });

  it('are checked by one statement after a reconnect', async () => {
    await using many = await start('reconnect', MANY);
    await many.app.pubsub.notify('reconnect:0', 'started');
    expect(await many.handled.next()).toBe('started');
    await storeSilently('reconnect:500', 'missed');
    await stored.database.terminateListeners();
    expect(await many.handled.next()).toBe('missed');
    expect(many.begun()).toBeLessThan(FEW);
  });

  it('are polled by one statement', async () => {
    await using many = await start('poll', MANY, OFTEN);
    for (const payload of ['first', 'second', 'third']) {
      await storeSilently('poll:999', payload);
      expect(await many.handled.next()).toBe(payload);
    }
    expect(many.begun()).toBeLessThan(MANY / 2);
  });

  it('are resumed by one statement', async () => {
    await using many = await start('resume', MANY);
    await many.app.pubsub.pause();
    await storeSilently('resume:999', 'stored meanwhile');
    await many.app.pubsub.resume();
    expect(await many.handled.next()).toBe('stored meanwhile');
    expect(many.begun()).toBeLessThan(FEW);
  });
});

describe('a few exactly-once channels', () => {
  it('are claimed when a delayed row becomes due that an earlier check has seen', async () => {
    await storeSilently('later:2', 'later', '2 seconds');
    await using some = await start('later', 3);
    expect(await some.handled.next()).toBe('later');
    expect(some.begun()).toBeLessThan(10);
  });

  it('are not checked while they are paused', async () => {
    await using some = await start('paused', 3, OFTEN);
    await some.app.pubsub.pause([defineChannel('paused:1', { delivery: 'exactly-once' })]);
    await storeSilently('paused:1', 'paused');
    await storeSilently('paused:2', 'polled');
    expect(await some.handled.next()).toBe('polled');
    expect(some.handled.untaken).toEqual([]);
    await some.app.pubsub.resume();
    expect(await some.handled.next()).toBe('paused');
  });

  it('are checked again when the connection of a check was lost', async () => {
    await using some = await start('lost', 3);
    await some.app.pubsub.pause();
    await storeSilently('lost:2', 'missed');
    const locker = await stored.database.client();
    await locker.query('begin; lock table pgpubsub_notification');
    await some.app.pubsub.resume();
    const terminate = `select pg_terminate_backend(pid) from pg_stat_activity
      where datname = current_database() and wait_event_type = 'Lock' and query like '%cross join lateral%'`;
    await eventually(async () => (await stored.query(terminate)).length > 0, 'a look was lost');
    await locker.query('commit');
    await locker.end();
    expect(await some.handled.next()).toBe('missed');
  });

  it('report rejected claims and their recovery for each channel', async () => {
    await using some = await start('refused', 3, OFTEN);
    const events = new Mailbox<string>();
    some.app.pubsub.events$.subscribe((event) => {
      if (event.type === 'claim-failed' || event.type === 'claim-recovered')
        events.push(`${event.type} ${event.channel}`);
    });
    const everyChannel = async (type: string) => {
      for (const n of [0, 1, 2]) await events.find((event) => event === `${type} refused:${n}`);
    };
    await stored.query('alter table pgpubsub_notification rename to elsewhere');
    await everyChannel('claim-failed');
    await stored.query('alter table elsewhere rename to pgpubsub_notification');
    await everyChannel('claim-recovered');
  });

  it('report rejected claims although no row is due and checks succeed', async () => {
    await stored.query(`create role looking_role login password 'looking_role';
      grant usage on schema public to looking_role; grant all on all tables in schema public to looking_role`);
    try {
      await using some = await start('denied', 3, OFTEN, 'looking_role');
      const events = new Mailbox<string>();
      some.app.pubsub.events$.subscribe(({ type }) => events.push(type));
      await stored.query('revoke update on pgpubsub_notification from looking_role');
      await events.find((type) => type === 'claim-failed');
      await stored.query('grant update on pgpubsub_notification to looking_role');
      await events.find((type) => type === 'claim-recovered');
    } finally {
      await stored.query('drop owned by looking_role; drop role looking_role');
    }
  });
});
