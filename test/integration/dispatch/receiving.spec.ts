import { defineChannel, type ConnectionState, type Notification } from 'nestjs-pgpubsub';
import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import { collector } from '../../support/listeners.js';
import { Mailbox, eventually } from '../../support/mailbox.js';
import { useDatabase } from '../../support/use-database.js';

const database = useDatabase();
// notify() waits for LISTEN without a limit, because the clock stands still
beforeEach(() => void vi.spyOn(performance, 'now').mockReturnValue(performance.now()));
afterEach(() => void vi.restoreAllMocks());

/** The last statement of the LISTEN session that the server shows. */
async function lastListenStatement(): Promise<string> {
  const sql =
    "select query from pg_stat_activity where datname = $1 and application_name like '%:listen' and state = 'idle'";
  return (await database.query<{ query: string }>(sql, [database.name]))[0]?.query ?? '';
}

it('the first subscriber of observe() sends LISTEN, the last one UNLISTEN, and all share one connection', async () => {
  await using app = await database.start();
  const first = new Mailbox<Notification<{ id: number }>>();
  const second = new Mailbox<Notification>();
  const one = app.pubsub.observe<{ id: number }>('orders').subscribe(first.push);
  const two = app.pubsub.observe('orders', 'others', 'orders').subscribe(second.push);
  await app.pubsub.notify('orders', { id: 1 });
  await app.pubsub.notify('others', { id: 2 });

  expect((await first.next()).payload.id).toBe(1);
  expect((await second.take(2)).map(({ channel }) => channel)).toEqual(['orders', 'others']);
  expect(await database.listenSessions()).toBe(1);
  one.unsubscribe();
  await app.pubsub.notify('orders', { id: 3 });
  expect((await second.next()).payload).toEqual({ id: 3 });
  expect(first.untaken).toEqual([]);
  two.unsubscribe();
  await eventually(
    async () => /unlisten "orders"; unlisten "others"/.test(await lastListenStatement()),
    'both are unlistened',
  );

  const again = app.pubsub.observe('orders').subscribe(first.push as (notification: Notification) => void);
  await app.pubsub.notify('orders', { id: 4 });
  expect((await first.next()).payload.id).toBe(4);
  again.unsubscribe();
});

it('an observer receives the next notification after each of many quick subscriptions', async () => {
  await using app = await database.start();
  for (let id = 0; id < 20; id++) {
    const received = new Mailbox<Notification>();
    app.pubsub.observe('flapping').subscribe().unsubscribe();
    const subscription = app.pubsub.observe('flapping').subscribe(received.push);
    await app.pubsub.notify('flapping', id);
    expect((await received.next()).payload).toBe(id);
    subscription.unsubscribe();
  }
});

it('a thousand observers share one connection', async () => {
  await using app = await database.start();
  const received = new Mailbox<number>();
  const subscriptions = Array.from({ length: 1_000 }, (_, index) =>
    app.pubsub.observe(`room ${index % 100}`).subscribe(() => received.push(index)),
  );
  for (let room = 0; room < 100; room++) await app.pubsub.notify(`room ${room}`, 'hello');

  const all = await received.take(1_000);
  expect(all.toSorted((a, b) => a - b)).toEqual(Array.from({ length: 1_000 }, (_, index) => index));
  expect(await database.listenSessions()).toBe(1);
  for (const subscription of subscriptions) subscription.unsubscribe();
});

it('listen() can be iterated by "for await" until a break', async () => {
  await using app = await database.start();
  const iterator = app.pubsub.listen<number>('orders', 'others');
  for (const id of [1, 2, 3]) await app.pubsub.notify(id === 2 ? 'others' : 'orders', id);
  const seen: number[] = [];
  for await (const { payload } of iterator) {
    seen.push(payload);
    if (payload === 3) break;
  }

  expect(seen).toEqual([1, 2, 3]);
  expect(await iterator.next()).toEqual({ done: true, value: undefined });
  await eventually(
    async () => (await lastListenStatement()).includes('unlisten "orders"'),
    'the iterator has let go',
  );
});

it('an iterator ends with `await using`, and every iterator ends when the application closes', async () => {
  const app = await database.start();
  const kept = app.pubsub.listen('orders');
  {
    await using scoped = app.pubsub.listen('orders');
    await app.pubsub.notify('orders', 1);
    expect((await scoped.next()).value?.payload).toBe(1);
  }
  const completed = new Mailbox<string>();
  app.pubsub.observe('orders').subscribe({ complete: () => completed.push('complete') });
  await app.close();

  expect(await completed.next()).toBe('complete');
  expect((await kept.next()).value?.payload).toBe(1); // buffered notifications are still returned
  expect(await kept.next()).toEqual({ done: true, value: undefined });
  expect(await app.pubsub.listen('orders').next()).toEqual({ done: true, value: undefined });
});

it('a slow iterator drops notifications according to its policy, and logs their number', async () => {
  const expected = { 'drop-oldest': [8, 9, 10], 'drop-newest': [1, 2, 3], error: [1, 2, 3] } as const;
  for (const overflow of ['drop-oldest', 'drop-newest', 'error'] as const) {
    await using app = await database.start({
      options: { buffer: { maxSize: 3, overflow } },
    });
    const slow = app.pubsub.listen<number>('orders');
    const fast = app.pubsub.listen<number>('orders');
    await app.pubsub.notifyMany('orders', [1, 2, 3]);
    for (const id of [1, 2, 3]) expect((await fast.next()).value?.payload).toBe(id);
    await app.pubsub.notifyMany('orders', [4, 5, 6, 7, 8, 9, 10].slice(0, 3));
    for (const id of [4, 5, 6]) expect((await fast.next()).value?.payload).toBe(id);
    await app.pubsub.notifyMany('orders', [7, 8, 9]);
    for (const id of [7, 8, 9]) expect((await fast.next()).value?.payload).toBe(id);
    await app.pubsub.notify('orders', 10);
    expect((await fast.next()).value?.payload).toBe(10);

    const seen: (number | undefined)[] = [];
    for (let index = 0; index < 3; index++) seen.push((await slow.next()).value?.payload);
    expect(seen).toEqual(expected[overflow]);
    const line = await app.log.find(({ level, text }) => level === 'warn' && text.includes('Dropped'));
    expect(line.text).toContain('channel "orders": listen() is too slow (1 dropped so far)');
    if (overflow === 'error') {
      await expect(slow.next()).rejects.toMatchObject({ code: 'BUFFER_OVERFLOW' });
      expect(await slow.next()).toEqual({ done: true, value: undefined });
    }
  }
});

it('observe() and listen() reject an exactly-once channel with the reason, and calls without a channel', async () => {
  await using app = await database.start();
  const stored = defineChannel('stored', { delivery: 'exactly-once' });
  expect(() => app.pubsub.observe(stored)).toThrow(
    /expected observe\(\) to be called with broadcast channels, got "stored".*exactly-once.*@Listener/s,
  );
  expect(() => app.pubsub.listen(stored)).toThrow(/exactly-once/);
  expect(() => app.pubsub.observe()).toThrow(/at least one channel/);
});

it('a process that only publishes opens no connection until a channel is observed', async () => {
  const { provider } = collector('orders');
  await using app = await database.start({
    providers: [provider],
    options: { listen: false },
  });
  const states: ConnectionState[] = [];
  app.pubsub.connection$.subscribe((state) => states.push(state));
  await app.pubsub.notify('orders', 1);
  expect(await database.listenSessions()).toBe(0);

  const received = new Mailbox<Notification>();
  app.pubsub.observe('orders').subscribe(received.push);
  await eventually(() => states.includes('listening'), 'it listens');
  await app.pubsub.notify('orders', 2);
  expect((await received.next()).payload).toBe(2);
  expect(states).toEqual(['closed', 'connecting', 'listening']);
});

it('a process that only publishes receives the next notification after its first subscription', async () => {
  await using app = await database.start({ options: { listen: false } });
  const received = new Mailbox<unknown>();
  app.pubsub.observe('orders').subscribe(({ payload }) => received.push(payload));
  await app.pubsub.notify('orders', 'at once');
  expect(await received.next()).toBe('at once');
});

it('listen() infers the payloads of several definitions', async () => {
  const Orders = defineChannel<{ order: number }>('typed_orders');
  const Users = defineChannel<{ user: string }>('typed_users');
  await using app = await database.start();
  await using iterator = app.pubsub.listen(Orders, Users);
  await app.pubsub.notify(Orders, { order: 1 });
  await app.pubsub.notify(Users, { user: 'a' });
  const first = await iterator.next();
  const second = await iterator.next();
  const payloads: ({ order: number } | { user: string } | undefined)[] = [
    first.value?.payload,
    second.value?.payload,
  ];
  expect(payloads).toEqual([{ order: 1 }, { user: 'a' }]);
});
