import { afterAll, beforeAll, expect, it } from 'vitest';
import { TestDatabase } from '../support/database.js';
import { eventually } from '../support/mailbox.js';
import { Worker } from '../support/worker.js';

let database: TestDatabase;
beforeAll(async () => {
  database = await TestDatabase.create();
});
afterAll(() => database[Symbol.asyncDispose]());

const COUNT = 10_000;
const inOrder = Array.from({ length: COUNT }, (_, id) => ({ id }));

it.each([
  ['one by one', false],
  ['each in a transaction of its own', true],
])(
  'a process receives 10,000 notifications of another one, sent %s, in order and each exactly once',
  async (_, inTransactions) => {
    await using sender = await Worker.start(database.url);
    await using receiver = await Worker.start(database.url);
    sender.send({ type: 'notifyEach', channel: 'orders', count: COUNT, inTransactions });
    for (let taken = 0; taken < COUNT; taken += 1_000) await receiver.received.take(1_000);
    sender.send({ type: 'notify', channel: 'orders', payload: 'end' });
    await receiver.received.find((payload) => payload === 'end');
    await sender.received.find((payload) => payload === 'end');

    expect(receiver.received.all).toEqual([...inOrder, 'end']);
    expect(sender.received.all).toEqual([...inOrder, 'end']);
  },
);

it('a process receives each of many identical payloads of separate transactions', async () => {
  await using sender = await Worker.start(database.url);
  await using receiver = await Worker.start(database.url);
  for (let time = 0; time < 50; time++) sender.send({ type: 'notify', channel: 'orders', payload: 'same' });
  expect(await receiver.received.take(50)).toEqual(Array.from({ length: 50 }, () => 'same'));
});

it('a process ends by itself after app.close(), with no handle left', async () => {
  await using worker = await Worker.start(database.url);
  worker.send({ type: 'close' });
  await worker.reported('closed');
  expect(await worker.exited).toBe(0);
});

it('a process with shutdown hooks ends on SIGTERM and closes its session', async () => {
  await using worker = await Worker.start(database.url);
  worker.signal('SIGTERM');
  await worker.exited;
  await eventually(async () => (await database.listenSessions()) === 0, 'its session has ended');
});
