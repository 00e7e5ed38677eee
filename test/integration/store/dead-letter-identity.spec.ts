import { defineChannel } from 'nestjs-pgpubsub';
import { describe, expect, it } from 'vitest';
import { TestApp } from '../../support/app.js';
import { useDeadLetters } from '../../support/dead-letters.js';
import { eventually } from '../../support/mailbox.js';

const {
  app,
  bury,
  inPortions,
  blocked,
  letters,
  names,
  waiting,
  drain,
  store,
  nextId,
  broken,
  handled,
  database,
  Listeners,
} = useDeadLetters();
const Other = defineChannel<{ name: string }>('other', { delivery: 'exactly-once' });

describe('dead letters of several notifications with one id', () => {
  it('keep the payload and the error of each', async () => {
    const large = 'x'.repeat(100_000) + Math.random().toString();
    const larger = 'y'.repeat(100_000) + Math.random().toString();
    await bury('old', 'new', large, larger);

    expect(await letters()).toEqual(
      ['old', 'new', large, larger].map((name) => ({
        id: '1',
        listener: 'first',
        name,
        error: expect.stringContaining(`first cannot handle ${name.slice(0, 40)}`) as unknown,
      })),
    );
  });

  it('are all listed, over several pages', async () => {
    const sql = `insert into pgpubsub_dead_letter (id, channel, listener, payload)
      select 1, 'orders', 'first', json_build_object('name', n) from generate_series(1, 450) as n`;
    await database.query(sql);

    expect(await names()).toEqual(Array.from({ length: 450 }, (_, index) => index + 1));
  });

  it('are kept when the sequence of the letters restarts, too', async () => {
    await bury('old');
    await database.query('alter table pgpubsub_dead_letter alter column letter restart');
    await store('new');
    await app().pubsub.resume();
    await eventually(async () => (await waiting()).length === 0, 'the new notification is a dead letter');

    expect(await names()).toEqual(expect.arrayContaining(['old', 'new']));
    expect(await names()).toHaveLength(2);
  });

  it('are discarded only when the filter matches', async () => {
    broken.second = true;
    await bury('old', 'new');
    await database.query(
      `insert into pgpubsub_dead_letter (id, channel, listener, payload) values (1, 'other', 'first', '{"name":"other"}')`,
    );

    expect(await app().pubsub.stored.discard({ channel: Other })).toBe(1);
    expect(await inPortions('discard', { listener: 'first' })).toEqual([2]);
    expect((await letters()).map(({ listener, name }) => `${listener} ${name}`)).toEqual([
      'second old',
      'second new',
    ]);
  });

  it('are processed in batches of at most 1,000', async () => {
    const sql = `insert into pgpubsub_dead_letter (id, channel, listener, payload)
      select 1, 'nobody', 'first', json_build_object('name', n) from generate_series(1, 1200) as n`;
    await database.query(sql);
    await nextId(2);
    expect(await inPortions('retry')).toEqual([1_000, 200]);

    expect(await names()).toEqual([]);
    const stored = await waiting();
    expect(new Set(stored.map(({ name }) => name)).size).toBe(1_200);

    await database.query(sql);
    expect(await inPortions('discard')).toEqual([1_000, 200]);
    expect(await names()).toEqual([]);
  });
});

it('simultaneous retries of two listeners share their notifications', async () => {
  broken.second = true;
  await bury('one', 'two');
  const client = await database.client();
  await client.query('begin');
  await client.query(`insert into pgpubsub_notification (id, channel) values (1, 'orders')`);
  const retries = ['first', 'second'].map((listener) => app().pubsub.stored.retry({ listener }));
  await blocked(2);
  await client.query('rollback');

  expect(await Promise.all(retries)).toEqual([2, 2]);
  Object.assign(broken, { first: false, second: false });
  await drain();
  expect(handled.all.toSorted()).toEqual(['first one', 'first two', 'second one', 'second two']);
});

it('a retry needs no right to the sequence', async () => {
  await bury('old', 'new');
  const role = database.name;
  const url = new URL(database.url);
  url.username = role;
  await database.query(`create role ${role} login;
    grant select, insert, update, delete on pgpubsub_notification to ${role};
    grant select, insert, delete on pgpubsub_dead_letter to ${role}`);
  try {
    await using limited = await TestApp.start({ url: url.href, providers: [Listeners] });
    expect(await limited.pubsub.stored.retry({})).toBe(2);
    await eventually(async () => (await names()).length === 2, 'both are dead letters again');
    expect(await names()).toEqual(['old', 'new']);
    await limited.close();
  } finally {
    await database.query(`drop owned by ${role}; drop role ${role}`);
  }
});
