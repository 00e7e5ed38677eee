import { describe, expect, it } from 'vitest';
import { useDeadLetters } from '../../support/dead-letters.js';

const {
  app,
  bury,
  blocked,
  letters,
  waiting,
  drain,
  store,
  nextId,
  broken,
  handled,
  hold,
  database,
  retries,
} = useDeadLetters();

describe.each(retries)('a retry %s', (_, retry) => {
  it('makes each notification run exactly once, the oldest under its id', async () => {
    await bury('old', 'new', 'newest');
    broken.first = false;

    expect(await retry()).toBe(3);
    expect(await letters()).toEqual([]);
    expect(await waiting()).toEqual([
      { id: '1', name: 'old', listeners: ['first'] },
      { id: '100', name: 'new', listeners: ['first'] },
      { id: '101', name: 'newest', listeners: ['first'] },
    ]);
    await drain();
    expect(handled.all).toEqual(['first old', 'first new', 'first newest']);
    expect(await letters()).toEqual([]);
  });

  it('does not change another notification that waits under the id', async () => {
    await bury('dead');
    await store('waiting');
    await nextId(100);
    broken.first = false;

    expect(await retry()).toBe(1);
    expect(await waiting()).toEqual([
      { id: '1', name: 'waiting', listeners: null },
      { id: '100', name: 'dead', listeners: ['first'] },
    ]);
    await drain();
    expect(handled.all.toSorted()).toEqual(['first dead', 'first waiting', 'second waiting']);
  });

  it('does not merge with an equal notification that the listener has not handled yet', async () => {
    await bury('equal');
    await store('equal');
    await nextId(100);
    broken.first = false;

    expect(await retry()).toBe(1);
    await drain();
    expect(handled.all.toSorted()).toEqual(['first equal', 'first equal', 'second equal']);
  });

  it('does not merge with an equal notification that was retried before', async () => {
    await bury('equal');
    expect(await retry()).toBe(1);
    await database.query(
      `insert into pgpubsub_dead_letter (id, channel, listener, payload) values (1, 'orders', 'first', '{"name":"equal"}')`,
    );
    expect(await retry()).toBe(1);
    broken.first = false;
    await drain();
    expect(handled.all).toEqual(['first equal', 'first equal']);
  });

  it('distinguishes notifications with equal payloads by their context', async () => {
    for (const tenant of ['a', 'b']) {
      await store('equal', { tenant });
      await drain();
    }
    await nextId(100);
    expect(await retry()).toBe(2);
    expect(await database.query('select id, context from pgpubsub_notification order by id')).toEqual([
      { id: '1', context: { tenant: 'a' } },
      { id: '100', context: { tenant: 'b' } },
    ]);
  });

  it('returns the dead letters of several listeners to their notifications', async () => {
    broken.second = true;
    await bury('old', 'new', 'new');
    expect(await retry()).toBe(6);
    expect(await waiting()).toEqual([
      { id: '1', name: 'old', listeners: ['first', 'second'] },
      { id: '100', name: 'new', listeners: ['first', 'second'] },
      { id: '101', name: 'new', listeners: ['first', 'second'] },
    ]);
  });

  it.each([
    ['payload', { name: 'old' }, { name: 'new' }],
    ['context', { tenant: 'old' }, { tenant: 'new' }],
    ['key', 'old', 'new'],
  ])('gives no listener the %s of a notification that it has handled', async (column, old, young) => {
    await database.query(
      `insert into pgpubsub_dead_letter (id, channel, listener, ${column})
       values (1, 'orders', 'first', $1), (1, 'orders', 'first', $2), (1, 'orders', 'second', $2)`,
      [old, young],
    );
    await nextId(100);
    expect(await retry()).toBe(3);
    const sql = `select id, ${column}, listeners from pgpubsub_notification order by id`;
    expect(await database.query(sql)).toEqual([
      { id: '1', [column]: old, listeners: ['first'] },
      { id: '100', [column]: young, listeners: ['first', 'second'] },
    ]);
  });

  it('returns a dead letter to its own notification, although an older one has the same id', async () => {
    await bury('old');
    await store('new');
    await database.query(`update pgpubsub_notification set handled_by = '{first}'`);
    await database.query(
      `insert into pgpubsub_dead_letter (id, channel, listener, payload, context)
       select id, channel, 'first', payload, context from pgpubsub_notification`,
    );
    await nextId(100);
    broken.first = false;

    expect(await retry()).toBe(2);
    expect(await waiting()).toEqual([
      { id: '1', name: 'new', listeners: null },
      { id: '100', name: 'old', listeners: ['first'] },
    ]);
    await drain();
    expect(handled.all.toSorted()).toEqual(['first new', 'first old', 'second new']);
  });

  it.each([
    ['is handled', false, '1'],
    ['fails and waits again', true, '100'],
  ])('waits for a claim of the id, whose notification then %s', async (_outcome, fails, id) => {
    await bury('dead');
    await store('claimed');
    await nextId(100);
    broken.first = false;
    let open: (error?: Error) => void = () => undefined;
    void hold(
      new Promise((resolve, reject) => {
        open = (error) => (error ? reject(error) : resolve());
      }),
    );
    await app().pubsub.resume();
    await handled.find((line) => line === 'first claimed');

    const retried = retry();
    await blocked(1);
    await app().pubsub.pause();
    open(fails ? new Error('later') : undefined);
    expect(await retried).toBe(1);

    expect((await waiting()).find(({ name }) => name === 'dead')).toEqual({
      id,
      name: 'dead',
      listeners: ['first'],
    });
    expect(await waiting()).toHaveLength(fails ? 2 : 1);
  });

  it('does not change a notification that a transaction stores under the id meanwhile', async () => {
    await bury('dead');
    const client = await database.client();
    await client.query('begin');
    await client.query(
      `insert into pgpubsub_notification (id, channel, payload) values (1, 'orders', '{"name":"meanwhile"}')`,
    );
    const retried = retry();
    await blocked(1);
    await client.query('commit');

    expect(await retried).toBe(1);
    expect(await waiting()).toEqual([
      { id: '1', name: 'meanwhile', listeners: null },
      { id: '100', name: 'dead', listeners: ['first'] },
    ]);
  });

  it('is rejected without a change while the sequence leads to an id in use', async () => {
    await bury('old', 'new');
    await nextId(1);
    const before = await letters();

    await expect(retry()).rejects.toMatchObject({
      code: 'COMPLETION_REFUSED',
      message: expect.stringContaining('select setval(') as unknown,
      cause: { code: '23505' },
    });
    expect(await letters()).toEqual(before);
    expect(await waiting()).toEqual([]);
  });

  it('is rejected without a change when the database does not store all of them', async () => {
    await bury('old', 'new');
    const before = await letters();
    await database.query(
      `create function skip_new() returns trigger language plpgsql as $$
        begin if new.payload ->> 'name' = 'new' then return null; end if; return new; end $$;
       create trigger skip_new before insert on pgpubsub_notification for each row execute procedure skip_new()`,
    );
    try {
      await expect(retry()).rejects.toMatchObject({
        code: 'COMPLETION_REFUSED',
        message: expect.stringContaining('1 of 2') as unknown,
      });
      expect(await letters()).toEqual(before);
      expect(await waiting()).toEqual([]);
    } finally {
      await database.query('drop function skip_new cascade');
    }
  });
});
