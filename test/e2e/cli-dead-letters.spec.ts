import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { STORED_DATA_SOURCE, hasTerminal, pgpubsub, pgpubsubOnTerminal } from '../support/command.js';
import { readText, sectionOf } from '../support/documents.js';
import { StoredDatabase } from '../support/stored-worker.js';

let database: StoredDatabase;
beforeAll(async () => {
  database = await StoredDatabase.create();
});
afterAll(() => database[Symbol.asyncDispose]());
beforeEach(async () => {
  await database.query('truncate pgpubsub_notification, pgpubsub_dead_letter');
});

const deadLetters = (action: string, ...more: string[]) =>
  pgpubsub(['dead-letters', action, '-d', STORED_DATA_SOURCE, ...more], { DATABASE_URL: database.url });

/** Stores `count` dead letters with ids from `first` on, for each of the listeners. */
const insertDeadLetters = (channel: string, first: number, count: number, ...listeners: string[]) =>
  database.query(
    `insert into pgpubsub_dead_letter (id, channel, payload, listener, attempts, last_error, died_at)
      select n, $1, json_build_object('n', n), l, 10, 'Error: it failed with ' || n || E'\\n    at line 1', clock_timestamp() - interval '2 h'
      from generate_series($2::int, $2::int + $3::int - 1) as n, unnest($4::text[]) as l`,
    [channel, first, count, listeners],
  );

const left = async () => (await database.deadLetters()).map(({ id, listener }) => `${id} ${listener}`);

describe('pgpubsub dead-letters list', () => {
  it('shows the rows of the table, oldest first', async () => {
    await insertDeadLetters('tasks', 1, 2, 'A.a', 'B.b');
    const { code, stdout } = await deadLetters('list');
    expect(code).toBe(0);
    const rows = stdout
      .split('\n')
      .flatMap((line) => (/│ \d/.test(line) ? [line.split(/ *│ */).slice(1, -1)] : []));
    expect(rows).toEqual([
      ['1', 'tasks', 'A.a', '2 h ago', '10', 'Error: it failed with 1'],
      ['1', 'tasks', 'B.b', '2 h ago', '10', 'Error: it failed with 1'],
      ['2', 'tasks', 'A.a', '2 h ago', '10', 'Error: it failed with 2'],
      ['2', 'tasks', 'B.b', '2 h ago', '10', 'Error: it failed with 2'],
    ]);
  });

  it('escapes control characters in the errors of handlers', async () => {
    await insertDeadLetters('tasks', 1, 1, 'A.a');
    await database.query(String.raw`update pgpubsub_dead_letter set last_error = E'\x1b[2Jgone\r\x07 here'`);
    const { stdout } = await deadLetters('list');
    expect(stdout).toContain(String.raw`\x1b[2Jgone\r\x07 here`);
    expect(stdout).not.toMatch(/[^\P{Cc}\n]/u);
  });

  it('prints all fields as JSON, up to the limit', async () => {
    await insertDeadLetters('tasks', 1, 5, 'A.a');
    const all = JSON.parse((await deadLetters('list', '--json', '--limit', '5')).stdout) as object;
    expect(all).toMatchObject({ isCut: false });
    const { stdout } = await deadLetters('list', '--json', '--limit', '2');
    expect(JSON.parse(stdout)).toMatchObject({
      isCut: true,
      deadLetters: [
        {
          id: '1',
          channel: 'tasks',
          listener: 'A.a',
          payload: { n: 1 },
          attempts: 10,
          lastError: 'Error: it failed with 1\n    at line 1',
        },
        { id: '2' },
      ],
    });
    const [, documented = ''] =
      /"deadLetters": \[\{([^}]+)\}\]/.exec(sectionOf(readText('docs/cli.md'), '## `dead-letters list`')) ??
      [];
    const { deadLetters: letters } = JSON.parse(stdout) as { deadLetters: object[] };
    expect(Object.keys(letters[0] ?? {})).toEqual(Array.from(documented.matchAll(/\w+/g), String));
    expect((await deadLetters('list', '--limit', '2')).stdout).toContain(
      'Only the first 2 are shown; --limit shows more',
    );
    const { stdout: whole } = await deadLetters('list', '--json', '--limit', '2', '--all');
    expect(JSON.parse(whole)).toEqual(all);
  });

  it.each([
    ['--channel tasks', 3],
    ['--channel tasks ticks', 4],
    ['--channel tasks --channel ticks', 4],
    ['--listener B.b', 1],
    ['--id 2 3', 2],
    ['--id 1 --listener A.a', 1],
  ])('selects dead letters by %s', async (options, count) => {
    await insertDeadLetters('tasks', 1, 1, 'A.a', 'B.b');
    await insertDeadLetters('tasks', 2, 1, 'A.a');
    await insertDeadLetters('ticks', 3, 1, 'A.a');
    await insertDeadLetters('steps', 4, 1, 'A.a');
    const { stdout } = await deadLetters('list', '--json', ...options.split(' '));
    expect((JSON.parse(stdout) as { deadLetters: unknown[] }).deadLetters).toHaveLength(count);
  });
});

it('pgpubsub dead-letters list distinguishes no matching dead letters from none at all', async () => {
  await insertDeadLetters('tasks', 1, 1, 'A.a');
  expect((await deadLetters('list', '--channel', 'task')).stdout).toBe('No dead letters match.\n');
  expect(await deadLetters('discard', '--id', '1')).toMatchObject({ code: 0 });
  expect((await deadLetters('list')).stdout).toBe('There are no dead letters.\n');
  expect(await deadLetters('list', '--channel', '')).toMatchObject({ code: 2, stdout: '' });
});

describe('a channel or listener without dead letters', () => {
  beforeEach(async () => {
    await insertDeadLetters('tasks', 1, 1, 'A.a', 'B.b');
    await insertDeadLetters('ticks', 2, 1, 'C.c');
  });
  const CHANNEL =
    'pgpubsub: expected --channel to name a channel that has dead letters (tasks, ticks), got "task"\n';

  it.each([
    ['retry', '--channel task', CHANNEL],
    [
      'discard',
      '--listener A.aa --all',
      'pgpubsub: expected --listener to name a listener that has dead letters (A.a, B.b, C.c), got "A.aa"\n',
    ],
    [
      'retry',
      '--channel tasks --listener C.c',
      'pgpubsub: expected --listener to name a listener that has dead letters there (A.a, B.b), got "C.c"\n',
    ],
  ])('is reported by %s %s', async (action, options, stderr) => {
    expect(await deadLetters(action, ...options.split(' '))).toMatchObject({ code: 0, stderr });
    expect(await left()).toHaveLength(3);
  });

  it('is reported when no channel has dead letters', async () => {
    await database.query('truncate pgpubsub_dead_letter');
    const ended = await deadLetters('retry', '--channel', 'tasks');
    expect(ended).toMatchObject({ code: 0, stdout: 'retried: 0\n' });
    expect(ended.stderr).toContain('(there are none), got "tasks"');
    expect(await deadLetters('retry', '--all')).toMatchObject({ code: 0, stdout: 'retried: 0\n' });
  });

  it('is reported on stderr beside JSON on stdout', async () => {
    const ended = await deadLetters('list', '--channel', 'task', '--json');
    expect(ended).toMatchObject({ code: 0, stderr: CHANNEL });
    expect(JSON.parse(ended.stdout)).toEqual({ deadLetters: [], isCut: false });
  });
});

describe.each(['retry', 'discard'])('pgpubsub dead-letters %s', (action) => {
  it('changes nothing without an option that selects dead letters', async () => {
    await insertDeadLetters('tasks', 1, 1, 'A.a');
    const ended = await deadLetters(action);
    expect(ended).toMatchObject({ code: 2, stdout: '' });
    expect(ended.stderr).toContain(`dead-letters ${action} requires --channel, --listener, --id or --all`);
    expect(await left()).toHaveLength(1);
  });

  it('rejects an invalid id and reports an id without dead letters', async () => {
    for (const id of ['x', '9223372036854775808'])
      expect(await deadLetters(action, '--id', id), id).toMatchObject({ code: 2, stdout: '' });
    const ended = await deadLetters(action, '--id', '77');
    expect(ended).toMatchObject({ code: 1, stdout: '' });
    expect(ended.stderr).toMatch(/^pgpubsub: there are no dead letters of the notification 77\./);
  });
});

it('pgpubsub dead-letters retry stores only the selected dead letters again, for their listener alone', async () => {
  await insertDeadLetters('tasks', 1, 1, 'A.a', 'B.b');
  await insertDeadLetters('ticks', 2, 1, 'A.a');
  expect(await deadLetters('retry', '--channel', 'tasks', '--listener', 'A.a')).toMatchObject({
    code: 0,
    stdout: 'retried: 1\n',
  });
  expect(await left()).toEqual(['1 B.b', '2 A.a']);
  expect(await database.query('select id, channel, listeners from pgpubsub_notification')).toEqual([
    { id: '1', channel: 'tasks', listeners: ['A.a'] },
  ]);
});

describe('pgpubsub dead-letters retry while processes run', () => {
  beforeEach(async () => {
    await insertDeadLetters('tasks', 1, 2, 'Gone.a');
    await insertDeadLetters('tasks', 3, 1, 'A.a');
    await database.query(
      `insert into pgpubsub_process (instance, listeners) values ('one', '{"tasks":["A.a"]}')`,
    );
  });
  afterEach(() => database.query('truncate pgpubsub_process'));

  it('leaves dead letters whose listener no process has, and exits with 1', async () => {
    const ended = await deadLetters('retry', '--all');
    expect(ended).toMatchObject({ code: 1, stdout: 'retried: 1\n' });
    expect(ended.stderr).toBe(
      'pgpubsub: left 2 dead letters of channel "tasks": no running process has the listener "Gone.a". ' +
        'Start a process that has it and retry again, discard the letters, or let them wait for it with --force.\n',
    );
    expect(await left()).toEqual(['1 Gone.a', '2 Gone.a']);
  });

  it('prints the number of dead letters that it left as JSON', async () => {
    const { code, stdout } = await deadLetters('retry', '--id', '1', '--json');
    expect([code, JSON.parse(stdout)]).toEqual([1, { retried: 0, left: 1 }]);
  });

  it('retries all dead letters with --force', async () => {
    expect(await deadLetters('retry', '--all', '--force')).toMatchObject({
      code: 0,
      stdout: 'retried: 3\n',
      stderr: '',
    });
    expect(await left()).toEqual([]);
  });

  it('does not prevent the same dead letters from being discarded', async () => {
    expect(await deadLetters('discard', '--all')).toMatchObject({ code: 0, stdout: 'discarded: 3\n' });
  });
});

it('pgpubsub dead-letters discard deletes only the selected dead letters', async () => {
  await insertDeadLetters('tasks', 1, 3, 'A.a');
  expect(JSON.parse((await deadLetters('discard', '--id', '1', '3', '--json')).stdout)).toEqual({
    discarded: 2,
  });
  expect(await left()).toEqual(['2 A.a']);
  expect(await database.count('pgpubsub_notification')).toBe(0);
});

describe('pgpubsub dead-letters retry on a slow server', () => {
  beforeAll(async () => {
    await database.query(`
      create function be_slow() returns trigger language plpgsql as $$ begin perform pg_sleep(0.004); return null; end $$`);
    await database.query(
      'create trigger be_slow after insert on pgpubsub_notification for each row execute procedure be_slow()',
    );
  });
  afterAll(() => database.query('drop function be_slow cascade'));

  it('retries all dead letters in batches and shows its progress', async () => {
    // enough to take longer than the three seconds between two lines of progress
    await insertDeadLetters('tasks', 1, 1_250, 'A.a', 'B.b');
    const ended = await deadLetters('retry', '--all');
    expect(ended).toMatchObject({ code: 0, stdout: 'retried: 2500\n' });
    expect(ended.stderr).toMatch(/^1,\d{3} of 2,500 dead letters retried, [\d,]+\/s, \d+ s left$/m);
    expect(await left()).toEqual([]);
    expect(
      await database.count(
        `pgpubsub_notification where listeners @> '{A.a,B.b}' and cardinality(listeners) = 2`,
      ),
    ).toBe(1_250);
    const transactions = await database.query('select distinct xmin::text from pgpubsub_notification');
    expect(transactions.length).toBeGreaterThan(1);
  });

  it.skipIf(!hasTerminal)('draws a progress bar on a terminal and removes it at the end', async () => {
    await insertDeadLetters('tasks', 1, 100, 'A.a');
    const args = ['dead-letters', 'retry', '-d', STORED_DATA_SOURCE, '--all'];
    const { code, stdout } = await pgpubsubOnTerminal(args, { DATABASE_URL: database.url });
    expect(code).toBe(0);
    expect(stdout).toMatch(/░+ 0 % \| 0 of 100 dead letters retried/);
    expect(stdout.endsWith('\u001B[0Jretried: 100\r\n')).toBe(true); // the bar is cleared first
  });
});

it('pgpubsub dead-letters retry --all retries each dead letter once, even while new ones appear', async () => {
  await insertDeadLetters('tasks', 1, 1_500, 'A.a');
  await database.query(`
    create function die_again() returns trigger language plpgsql as $$
    begin
      insert into pgpubsub_dead_letter (id, channel, payload, listener)
        values (new.id, new.channel, '{}', 'A.a'), (new.id + 10000, new.channel, '{}', 'A.a');
      return null;
    end $$`);
  await database.query(
    'create trigger die_again after insert on pgpubsub_notification for each row execute procedure die_again()',
  );
  try {
    expect(await deadLetters('retry', '--all')).toMatchObject({ code: 0, stdout: 'retried: 1500\n' });
    expect(await left()).toHaveLength(3_000);
  } finally {
    await database.query('drop function die_again cascade');
  }
});
