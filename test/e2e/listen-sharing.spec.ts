import { afterEach, beforeEach, expect, it } from 'vitest';
import { TestDatabase } from '../support/database.js';
import { ListenCommand, SAMPLE_APP } from '../support/listen-command.js';
import { eventually } from '../support/mailbox.js';

let database: TestDatabase;
beforeEach(async () => {
  database = await TestDatabase.create();
});
afterEach(() => database[Symbol.asyncDispose]());

interface Line {
  readonly pid: number;
  readonly message: string;
}

const insertAuthors = (count: number) =>
  database.query(`insert into author (name) select 'author ' || n from generate_series(1, $1) n`, [count]);

const firstPosts = () =>
  database.query(`select count(*)::int as posts, count(distinct author_id)::int as authors from post`);

const hasHandledAll = async () =>
  (await database.query('select from pgpubsub_notification limit 1')).length === 0;

/** The number of notifications that each process handled, from its last log line. */
const handledBy = ({ output }: ListenCommand): Record<number, number> =>
  Object.fromEntries(
    output.all
      .map((line) => JSON.parse(line) as Line)
      .flatMap(({ pid, message }) => {
        const count = /^Handled (\d+) stored notifications?/.exec(message)?.[1];
        return count === undefined ? [] : [[pid, Number(count)]];
      }),
  );

it('pgpubsub listen shares 1,000 stored notifications between two processes and logs JSON lines', async () => {
  const args = ['--processes', '2', '--log-format', 'json'];
  await using command = await ListenCommand.start(database.url, 2, SAMPLE_APP, ...args);
  let count = 0;
  const shareThousand = async () => {
    await insertAuthors(1_000);
    count += 1_000;
    await eventually(hasHandledAll, 'everything is handled');
    return (await database.query('select distinct process from handling')).length === 2;
  };
  // repeats, because one may get no CPU time for a while
  await eventually(shareThousand, 'both processes have handled some');
  command.signal('SIGTERM');

  expect(await command.exited()).toEqual({ code: 0, signal: null });
  expect(await firstPosts()).toEqual([{ posts: count, authors: count }]);
  const handled = handledBy(command);
  const [first = 0, second = 0] = command.processes.map((pid) => handled[pid]);
  expect(Math.min(first, second)).toBeGreaterThan(0);
  expect(first + second).toBe(count);
  expect(command.errors.all).toEqual([]);
});

it('pgpubsub listen replaces a killed process and loses no notification', async () => {
  await using command = await ListenCommand.start(database.url, 2, SAMPLE_APP, '--processes', '2');
  const [victim = 0] = command.processes;
  for (let wave = 0; wave < 20; wave++) {
    await insertAuthors(100);
    if (wave === 10) process.kill(victim, 'SIGKILL');
  }
  await command.says(`Process ${victim} has ended (signal SIGKILL)`);
  await command.says('Started process', 3);
  await command.says('Handling stored notifications', 3);
  await eventually(hasHandledAll, 'everything is handled');

  expect(await firstPosts()).toEqual([{ posts: 2_000, authors: 2_000 }]);
  expect(await database.query('select from pgpubsub_dead_letter')).toEqual([]);
  command.signal('SIGINT');
  expect(await command.exited()).toEqual({ code: 0, signal: null });
});

it('pgpubsub listen --channels handles only the named channels, and nothing when one is unknown', async () => {
  const run = async (...channels: string[]) => {
    await using command = ListenCommand.run(database.url, SAMPLE_APP, '--drain', ...channels);
    return { ...(await command.exited()), errors: command.errors.all };
  };
  expect(await run()).toMatchObject({ code: 0 }); // has run the migrations
  await insertAuthors(3);
  const reads = `select pgpubsub_notify('post_reads', '{"postId":1,"date":"2026-11-21"}') from generate_series(1, 5)`;
  await database.query(reads);
  const waiting = 'select distinct channel from pgpubsub_notification order by 1';

  expect(await run('--channels', 'reads', 'Author')).toMatchObject({
    code: 2,
    errors: [expect.stringMatching(/\(author = Author, .*post_reads.*\), got "reads"\./)],
  });
  expect(await database.query(waiting)).toEqual([{ channel: 'author' }, { channel: 'post_reads' }]);
  expect(await run('--channels', 'post_reads')).toMatchObject({ code: 0 });
  expect(await database.query(waiting)).toEqual([{ channel: 'author' }]);
  expect(await database.query('select reads from reads_per_day')).toEqual([{ reads: 5 }]);
  expect(await run('--channels', 'Author')).toMatchObject({ code: 0 });
  expect(await firstPosts()).toEqual([{ posts: 3, authors: 3 }]);
});
