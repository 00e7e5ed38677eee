import { afterAll, beforeAll, beforeEach, expect, it } from 'vitest';
import { STORED_DATA_SOURCE, pgpubsub } from '../support/command.js';
import { StoredDatabase } from '../support/stored-worker.js';

let database: StoredDatabase;
beforeAll(async () => {
  database = await StoredDatabase.create();
});
afterAll(() => database[Symbol.asyncDispose]());
beforeEach(async () => {
  await database.query('truncate pgpubsub_notification, pgpubsub_dead_letter');
});

const status = (...more: string[]) =>
  pgpubsub(['status', '-d', STORED_DATA_SOURCE, ...more], { DATABASE_URL: database.url });

async function statusOf(channel: string, ...more: string[]): Promise<Record<string, unknown>> {
  const { channels } = JSON.parse((await status('--json', ...more)).stdout) as {
    channels: Record<string, unknown>[];
  };
  return channels.find((entry) => entry['channel'] === channel) ?? {};
}

it('pgpubsub status shows the counts and ages of each channel', async () => {
  await database.store('tasks', [{ n: 1 }, { n: 2 }, { n: 3 }]);
  await database.store('nobody_declares_this', [{ n: 1 }]);
  await database.insertAuthors(2);
  await database.query(
    `update pgpubsub_notification set attempts = 2, available_at = clock_timestamp() + interval '1 h',
      created_at = clock_timestamp() - interval '3 min 30 s' where id = (select min(id) from pgpubsub_notification)`,
  );
  await database.query(
    `insert into pgpubsub_dead_letter (id, channel, payload, listener) values (900, 'ticks', '{}', 'A.b'), (901, 'tasks', '{}', 'A.b')`,
  );

  const ended = await status();
  expect(ended).toMatchObject({ code: 0, stderr: '' });
  const lines = ended.stdout.split('\n').map((line) => line.split('│').map((cell) => cell.trim()));
  const rows = lines.filter((cells) => cells.length > 1).map((cells) => cells.slice(1, -1));
  expect(rows).toEqual([
    ['channel', 'stored', 'due', 'retrying', 'oldest', 'dead'],
    ['author', '2', '2', '0', expect.stringMatching(/^\d+ s$/), '0'],
    ['nobody_declares_this', '1', '1', '0', expect.stringMatching(/^\d+ s$/), '0'],
    ['pairs', '0', '0', '0', '', '0'],
    ['polled', '0', '0', '0', '', '0'],
    ['steps', '0', '0', '0', '', '0'],
    ['tasks', '3', '2', '1', '3 min', '1'],
    ['ticks', '0', '0', '0', '', '1'],
  ]);

  const tasks = await statusOf('tasks');
  expect(tasks).toMatchObject({ waiting: 3, due: 2, retrying: 1, dead: 1 });
  expect(tasks['oldestAgeMs']).toBeGreaterThan(210_000);
});

it('pgpubsub status names the channels that are paused in all processes', async () => {
  await database.query(
    `insert into pgpubsub_channel (channel, paused) values ('tasks', true), ('ticks', false)`,
  );
  expect((await status()).stdout).toMatch(/^Paused everywhere: tasks\.\n/);
  const { paused } = JSON.parse((await status('--json')).stdout) as { paused: unknown };
  expect(paused).toEqual(['tasks']);
});

it('pgpubsub status --before-migration counts the notifications that were stored before a migration', async () => {
  await database.query('create table migrations (id serial primary key, "timestamp" bigint, name text)');
  await database.store('tasks', [{ n: 1 }]);
  for (const name of ['First1', 'Second2']) {
    await database.query('insert into migrations ("timestamp", name) values (1, $1)', [name]);
    await database.store('tasks', [{ n: 2 }]);
  }

  expect(await statusOf('tasks')).toMatchObject({ waiting: 3 });
  expect(await statusOf('tasks', '--before-migration', 'First1')).toMatchObject({ waiting: 1 });
  expect(await statusOf('tasks', '--before-migration', 'Second2')).toMatchObject({ waiting: 2 });
  const unknown = await status('--before-migration', 'Thrid3');
  expect(unknown).toMatchObject({ code: 2, stdout: '' });
  expect(unknown.stderr).toMatch(/^pgpubsub: expected .+\(First1, Second2\), got "Thrid3".+\n$/);
});
