import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { ListenCommand, listenApp } from '../support/listen-command.js';
import { eventually } from '../support/mailbox.js';
import { StoredDatabase } from '../support/stored-worker.js';

let database: StoredDatabase;
beforeEach(async () => {
  database = await StoredDatabase.create();
});
afterEach(() => database[Symbol.asyncDispose]());

const APP = listenApp('app.module.js');

const run = (...args: string[]) => ListenCommand.run(database.url, APP, ...args);
const upTo = (count: number) => Array.from({ length: count }, (_, index) => index + 1);
const store = (channel: string, count: number) =>
  database.store(
    channel,
    upTo(count).map((n) => ({ n })),
  );
const handled = async () => (await database.effects('work')).map(({ n }) => n).toSorted((a, b) => a - b);
const waiting = () => database.count('pgpubsub_notification');

const GOOD = { code: 0, signal: null };

describe.each([
  ['in this process', []],
  ['in two processes', ['--processes', '2']],
] as const)('pgpubsub listen --drain %s', (_, args) => {
  it('exits with 0 when nothing is stored', async () => {
    const began = performance.now();
    await using command = run('--drain', ...args);

    expect(await command.exited()).toEqual(GOOD);
    expect(performance.now() - began).toBeLessThan(20_000); // a poll would come after 30 s
    await command.says('No stored notifications to handle');
    expect(command.errors.all).toEqual([]);
  });

  it('handles the whole backlog, logs how many, and exits with 0', async () => {
    await store('tasks', 500);
    await using command = run('--drain', ...args);

    expect(await command.exited()).toEqual(GOOD);
    expect(await handled()).toEqual(upTo(500));
    expect(command.output.all.filter((line) => line.includes('] Handled'))).toEqual([
      expect.stringContaining('Handled 500 stored notifications'),
    ]);
    expect(await waiting()).toBe(0);
  });

  it('leaves the notifications of a paused channel, names it, and exits with 1', async () => {
    await database.query(`insert into pgpubsub_channel (channel, paused) values ('tasks', true)`);
    await store('tasks', 3);
    await using command = run('--drain', ...args);

    expect(await command.exited()).toEqual({ code: 1, signal: null });
    expect([...command.output.all, ...command.errors.all].join('\n')).toContain(
      '3 due notifications left, because channels are paused: "tasks". Resume them with',
    );
    expect(await waiting()).toBe(3);
  });

  it('exits with 1 when handlers fail, and leaves their notifications for a retry', async () => {
    await store('tasks', 3);
    await store('failures', 2);
    await using command = run('--drain', ...args);

    expect(await command.exited()).toEqual({ code: 1, signal: null });
    await command.says('Handled 3 stored notifications, 2 failed');
    expect(await handled()).toEqual(upTo(3));
    expect(await waiting()).toBe(2);
  });
});

it.each([[[]], [['--processes', '2']]])(
  'pgpubsub listen --drain leaves unclaimed notifications when it receives SIGTERM: %j',
  async (args) => {
    const tasks = upTo(500).map((n) => ({ n, ms: 20 }));
    await database.store('tasks', tasks);
    await using command = run('--drain', ...args);
    await command.says('Working on ');
    command.signal('SIGTERM');

    expect(await command.exited()).toEqual(GOOD);
    const done = await handled();
    expect(done).not.toEqual([]);
    expect(await waiting()).toBe(500 - done.length);
    expect(done.length).toBeLessThan(500);
  },
);

it('pgpubsub listen --drain exits with 1 when claims fail', async () => {
  await store('tasks', 2);
  await database.query('alter table pgpubsub_notification rename column deaths to ends');
  await using command = ListenCommand.run(database.url, `${APP}#SendingModule`, '--drain');

  expect(await command.exited()).toEqual({ code: 1, signal: null });
  expect(command.errors.all.at(-1)).toMatch(
    /^pgpubsub: claims failed repeatedly: .*deaths.* are still stored\.$/,
  );
  expect(await waiting()).toBe(2);
});

it('pgpubsub listen --drain listens to no broadcast channel', async () => {
  await using command = run('--drain');
  await command.exited();

  expect(command.everything).toContain('Listening to channel pgpubsub (');
});

describe.each([
  ['in this process', []],
  ['in two processes', ['--processes', '2']],
] as const)('pgpubsub listen --recover %s', (_, args) => {
  it('handles the backlog, logs how many, and keeps listening', async () => {
    await store('tasks', 300);
    await using command = run('--recover', ...args);
    await command.says('Handled 300 stored notifications');
    expect(await handled()).toEqual(upTo(300));

    await database.store('tasks', [{ n: 301 }]);
    await command.says('Working on 301');
    command.signal('SIGTERM');

    expect(await command.exited()).toEqual(GOOD);
    expect(await handled()).toEqual(upTo(301));
  });
});

describe('pgpubsub listen --channels', () => {
  it('handles only the channels that are named', async () => {
    await store('tasks', 2);
    await database.insertAuthors(2);
    await using command = run('--channels', 'tasks', 'shouts');
    await command.says('Listening to');
    await database.query(`select pg_notify('shouts', '"hello"')`);
    await command.says('Heard hello');
    await eventually(async () => (await waiting()) === 2, 'the notifications of its channels are handled');
    command.signal('SIGTERM');

    expect(await command.exited()).toEqual(GOOD);
    expect(command.everything).toContain('Handling stored notifications of channel tasks,');
    expect(await handled()).toEqual([1, 2]);
    expect(await waiting()).toBe(2);
  });

  it('handles only the channel of the entity class that is named', async () => {
    await store('tasks', 2);
    await database.insertAuthors(2);
    await using command = run('--drain', '--channels', 'Author');

    expect(await command.exited()).toEqual(GOOD);
    expect(await database.effects('greet')).toEqual([{ name: 'author 1' }, { name: 'author 2' }]);
    expect(await waiting()).toBe(2);
    expect(await handled()).toEqual([]);
  });

  it('finds the channels of every instance', async () => {
    await store('tasks', 2);
    await store('others', 3);
    const module = `${APP}#TwoDatabasesModule`;
    await using command = ListenCommand.run(database.url, module, '--drain', '--channels', 'others');

    expect(await command.exited()).toEqual(GOOD);
    expect((await database.effects('other')).map(({ n }) => n)).toEqual(upTo(3));
    expect(await waiting()).toBe(2);
  });

  it('rejects a channel without a listener before any listener runs, and lists the others', async () => {
    await store('tasks', 2);
    const module = `${APP}#TwoDatabasesModule`;
    await using command = ListenCommand.run(database.url, module, '--channels', 'tasks', 'task');

    expect(await command.exited()).toEqual({ code: 2, signal: null });
    expect(command.errors.all).toEqual([
      `pgpubsub: expected --channels to name channels that have a listener in ${module} ` +
        '(author = Author, failures, others, shouts, tasks), got "task".',
    ]);
    expect(await waiting()).toBe(2);
  });
});

describe('the option "listen" of the module in pgpubsub listen', () => {
  it('means all channels when it is false', async () => {
    await store('tasks', 2);
    await using command = ListenCommand.run(database.url, `${APP}#SendingModule`, '--drain');

    expect(await command.exited()).toEqual(GOOD);
    expect(await handled()).toEqual([1, 2]);
  });

  it('keeps its meaning when it is a list', async () => {
    await store('tasks', 2);
    await database.insertAuthors(1);
    await using command = ListenCommand.run(database.url, `${APP}#ListedModule`, '--drain');

    expect(await command.exited()).toEqual(GOOD);
    expect(await handled()).toEqual([1, 2]);
    expect(await waiting()).toBe(1);
  });
});
