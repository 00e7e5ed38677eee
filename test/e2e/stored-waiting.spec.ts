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
/** Neither polls nor deaf polls help within the time of a test. */
const NO_POLL = { intervalMs: FAR_AWAY, deafIntervalMs: FAR_AWAY };

async function start(options: Settings['options'] = {}): Promise<StoredWorker> {
  const worker = await StoredWorker.start(database.url, { name: 'one', options });
  workers.push(worker);
  return worker;
}

const handledTasks = async () => (await database.effects('work')).map(({ n }) => n);

it('handles what was stored while nobody listened, by any client and by the trigger', async () => {
  await database.store('tasks', [{ n: 1 }, { n: 2 }]);
  await database.insertAuthors(3);
  await start({ poll: NO_POLL });
  await database.drained();
  expect(await handledTasks()).toEqual([1, 2]);
  expect(await database.query('select "authorId" from post order by 1')).toEqual(
    [1, 2, 3].map((authorId) => ({ authorId })),
  );
});

describe('without the LISTEN connection', () => {
  const role = `listener_${process.pid}`;
  beforeEach(() => database.query(`create role ${role} login superuser password 'secret'`));
  afterEach(() => database.query(`drop role ${role}`));

  /** It cannot come back until the role may log in again. */
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

  it('handles what is stored meanwhile, by polling', async () => {
    const worker = await startCutOff(50);
    await database.store('tasks', [{ n: 1 }]);
    await database.drained();
    expect(await handledTasks()).toEqual([1]);
    expect(worker.reports.all.at(-1)).toEqual({ type: 'state', state: 'reconnecting' });
  });

  it('handles what was stored meanwhile once it is back, without a poll', async () => {
    const worker = await startCutOff(FAR_AWAY);
    await database.store('tasks', [{ n: 1 }]);
    await database.query(`alter role ${role} login`);
    await worker.reaches('listening');
    await database.drained();
    expect(await handledTasks()).toEqual([1]);
  });
});

/** What the worker has asked, apart from its LISTEN connection. */
const RECENT = `pg_stat_activity where application_name = 'one' and query_start > clock_timestamp() - interval '300 ms'`;

describe('without hints', () => {
  it('handles what was stored without one, at the next poll', async () => {
    const worker = await start({ listen: ['tasks'], poll: { ...NO_POLL, intervalMs: 1_000 } });
    await worker.reaches('listening');
    await eventually(async () => (await database.count(RECENT)) === 0, 'it looks at nothing any more');
    await database.query(
      `insert into pgpubsub_notification (channel, payload) select 'tasks', '{ "n": 1 }' from generate_series(1, 20)`,
    );
    await database.drained();
    expect(await handledTasks()).toEqual(Array.from({ length: 20 }, () => 1));
  });

  it('handles what a channel with wake: "poll" stores, and sends none', async () => {
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
    await listener.query('select 1'); // what was sent before has arrived
    expect(hints).toEqual(['tasks']);
  });
});

it('stores nothing that is rolled back', async () => {
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

it('handles each of many that are equal', async () => {
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

it('handles payloads of 20 MB, and what is stored beside them', async () => {
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

it('handles what was stored before the table gained, lost and renamed columns', async () => {
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
