import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { NotifyChanges } from 'nestjs-pgpubsub';
import { Column, Entity, PrimaryGeneratedColumn } from 'typeorm';
import { Polled, Post, Effect } from './apps/stored/storage.js';
import type { Settings } from './apps/stored/messages.js';
import { eventually } from '../support/mailbox.js';
import { StoredDatabase, StoredWorker } from '../support/stored-worker.js';

let database: StoredDatabase;
const workers: StoredWorker[] = [];
beforeEach(async () => {
  database = await StoredDatabase.create();
});
afterEach(async () => {
  for (const worker of workers.splice(0)) await worker[Symbol.asyncDispose]();
  await database[Symbol.asyncDispose]();
});

const FAR_AWAY = 3_600_000;
/** Options without a poll during a test, whether the LISTEN connection works or not. */
const NO_POLL = { intervalMs: FAR_AWAY, deafIntervalMs: FAR_AWAY };

async function start(options: Settings['options'] = {}): Promise<StoredWorker> {
  const worker = await StoredWorker.start(database.url, { name: 'one', options });
  workers.push(worker);
  return worker;
}

const handledTasks = async () => (await database.effects('work')).map(({ n }) => n);

it('a worker handles notifications that any client or a trigger stored while no process listened', async () => {
  await database.store('tasks', [{ n: 1 }, { n: 2 }]);
  await database.insertAuthors(3);
  await start({ poll: NO_POLL });
  await database.drained();
  expect(await handledTasks()).toEqual([1, 2]);
  expect(await database.query('select "authorId" from post order by 1')).toEqual(
    [1, 2, 3].map((authorId) => ({ authorId })),
  );
});

describe('a worker without its LISTEN connection', () => {
  const role = `listener_${process.pid}`;
  beforeEach(() => database.query(`create role ${role} login superuser password 'secret'`));
  afterEach(() => database.query(`drop role ${role}`));

  /** Starts a worker whose LISTEN connection is cut until the role may log in again. */
  async function startCutOff(deafIntervalMs: number): Promise<StoredWorker> {
    const connection = new URL(database.url);
    connection.username = role;
    connection.password = 'secret';
    const worker = await start({ connection: connection.href, poll: { ...NO_POLL, deafIntervalMs } });
    await database.query(`alter role ${role} nologin`);
    expect(await database.terminateListeners()).toBe(1);
    await worker.reaches('reconnecting');
    return worker;
  }

  it('handles new notifications by polling', async () => {
    const worker = await startCutOff(50);
    await database.store('tasks', [{ n: 1 }]);
    await database.drained();
    expect(await handledTasks()).toEqual([1]);
    expect(worker.reports.all.at(-1)).toEqual({ type: 'state', state: 'reconnecting' });
  });

  it('handles the notifications stored meanwhile as soon as the connection is back, without a poll', async () => {
    const worker = await startCutOff(FAR_AWAY);
    await database.store('tasks', [{ n: 1 }]);
    await database.query(`alter role ${role} login`);
    await worker.reaches('listening');
    await database.drained();
    expect(await handledTasks()).toEqual([1]);
  });
});

/** The recent queries of the worker, except those of its LISTEN connection. */
const RECENT = `pg_stat_activity where application_name = 'one' and query_start > clock_timestamp() - interval '300 ms'`;

describe('a worker without hints', () => {
  it('handles notifications that were stored without a hint at the next poll', async () => {
    const worker = await start({ listen: ['tasks'], poll: { ...NO_POLL, intervalMs: 1_000 } });
    await worker.reaches('listening');
    await eventually(async () => (await database.count(RECENT)) === 0, 'the worker is idle');
    await database.query(
      `insert into pgpubsub_notification (channel, payload) select 'tasks', '{ "n": 1 }' from generate_series(1, 20)`,
    );
    await database.drained();
    expect(await handledTasks()).toEqual(Array.from({ length: 20 }, () => 1));
  });

  it('handles the notifications of a channel with wake: "poll", which sends no hints', async () => {
    const listener = await database.client();
    const hints: (string | undefined)[] = [];
    listener.on('notification', ({ payload }) => hints.push(payload));
    await listener.query('listen pgpubsub');
    const worker = await start({ poll: NO_POLL });
    worker.send({ type: 'notify', channel: Polled.name, count: 20 });
    await worker.reported('sent');
    await database.drained();
    expect(await handledTasks()).toEqual(Array.from({ length: 20 }, () => 1));
    await database.store('tasks', [{ n: 2 }]);
    await database.drained();
    await listener.query('select 1'); // earlier notifications have arrived
    expect(hints).toEqual(['tasks']);
  });
});

it('a worker receives nothing of a transaction that is rolled back', async () => {
  const worker = await start();
  worker.send({ type: 'rollBack' });
  await worker.reported('sent');
  const client = await database.client();
  await client.query(
    `begin; select pgpubsub_notify('tasks', '{ "n": 1 }'); insert into author (name) values ('nobody'); rollback`,
  );
  await database.store('tasks', [{ n: 2 }]);
  await database.insertAuthors(1);
  await database.drained();
  expect(await handledTasks()).toEqual([2]);
  expect((await database.effects<{ name: string }>('greet')).map(({ name }) => name)).toEqual(['author 1']);
  expect(await database.deadLetters()).toEqual([]);
});

it('a worker handles each of many equal notifications', async () => {
  const worker = await start();
  worker.send({ type: 'notify', channel: 'tasks', count: 100 });
  await worker.reported('sent');
  await database.store(
    'tasks',
    Array.from({ length: 100 }, () => ({ n: 1 })),
  );
  await database.drained();
  expect(await handledTasks()).toEqual(Array.from({ length: 200 }, () => 1));
});

it('a worker handles payloads of 20 MB and the notifications beside them', async () => {
  const bytes = 20 * 1024 * 1024;
  const worker = await start();
  worker.send({ type: 'notify', channel: 'tasks', count: 1, bytes });
  await worker.reported('sent');
  await database.query(
    `select pgpubsub_notify('tasks', json_build_object('n', 2, 'text', repeat('x', ${bytes})))`,
  );
  await database.store('tasks', [{ n: 3 }]);
  await database.drained();
  const handled = await database.effects<{ n: number }>('work');
  expect(handled.toSorted((a, b) => a.n - b.n)).toEqual([
    { n: 1, length: bytes },
    { n: 2, length: bytes },
    { n: 3 },
  ]);
});

@Entity('author')
@NotifyChanges({ on: 'insert', delivery: 'exactly-once' })
class EarlierAuthor {
  @PrimaryGeneratedColumn() id!: number;
  @Column('text') name!: string;
  @Column('text') biography!: string;
  @Column('int') age!: number;
}

it('a worker handles changes that were stored before columns of the table were added, dropped and renamed', async () => {
  await database.query('drop table author cascade');
  await database.synchronize([EarlierAuthor, Post, Effect]);
  await database.query("insert into author (name, biography, age) values ('Ada', 'mathematician', 36)");
  await database.query(
    `alter table author rename biography to bio; alter table author drop age, alter bio drop not null, add email text`,
  );
  await database.synchronize();
  await database.query(
    "insert into author (name, bio, email) values ('Alan', 'logician', 'alan@example.org')",
  );

  await start();
  await database.drained();
  expect(await database.effects('greet')).toEqual([
    { id: 1, name: 'Ada' },
    { id: 2, name: 'Alan', bio: 'logician', email: 'alan@example.org' },
  ]);
  expect(await database.count('post')).toBe(2);
  expect(await database.deadLetters()).toEqual([]);
});
