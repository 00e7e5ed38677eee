import { afterEach, beforeEach, expect, it } from 'vitest';
import { CRASH_POINTS, type Crash, type CrashPoint } from './apps/stored/crash.js';
import { eventually } from '../support/mailbox.js';
import { StoredDatabase, StoredWorker, type Exit } from '../support/stored-worker.js';

let database: StoredDatabase;
beforeEach(async () => {
  database = await StoredDatabase.create();
});
afterEach(() => database[Symbol.asyncDispose]());

const CRASHES = 50;
const LOAD = 200;
const DEADLINE_MS = 240_000;
const upTo = (count: number) => Array.from({ length: count }, (_, index) => index + 1);

/** Keeps `LOAD` notifications waiting until `isOver()`; resolves with the number of authors. */
async function feed(isOver: () => boolean): Promise<number> {
  let count = 0;
  const hasRoom = async () => (await database.count('pgpubsub_notification')) < LOAD;
  while (!isOver()) {
    await eventually(async () => isOver() || (await hasRoom()), 'there is room for more', DEADLINE_MS);
    await database.insertAuthors(LOAD);
    count += LOAD;
  }
  return count;
}

/** Runs one process per crash, one after the other, each of which is killed at its point. */
async function crashOneByOne(name: string, crashes: readonly Crash[]): Promise<(CrashPoint | Exit)[]> {
  const ends: (CrashPoint | Exit)[] = [];
  for (const crash of crashes) {
    await using worker = StoredWorker.spawn(database.url, { name, crash });
    const exit = await worker.exited;
    const crashing = worker.reports.all.find((report) => report.type === 'crashing');
    ends.push(exit.signal === 'SIGKILL' && crashing ? crashing.point : exit);
  }
  return ends;
}

it(
  'workers handle each notification exactly once while 50 processes are killed',
  async () => {
    const crashes = upTo(CRASHES).map((n): Crash => {
      const point = CRASH_POINTS[n % CRASH_POINTS.length] ?? 'after the claim';
      return { point, time: 1 + Math.floor(Math.random() * (point === 'after a write' ? 40 : 4)) };
    });
    let areOver = false;
    const feeding = feed(() => areOver);
    const half = CRASHES / 2;
    const crashing = [
      crashOneByOne('one', crashes.slice(0, half)),
      crashOneByOne('two', crashes.slice(half)),
    ];
    const ends = await Promise.all(crashing).finally(() => (areOver = true));
    const authors = await feeding;
    await using _survivor = await StoredWorker.start(database.url, { name: 'survivor' });
    await database.drained();

    expect(ends.flat()).toEqual(crashes.map(({ point }) => point));
    const posts = await database.query<{ author: number }>(
      'select "authorId" as author from post order by 1',
    );
    expect(posts.map(({ author }) => author)).toEqual(upTo(authors));
    const greeted = await database.effects<{ id: number }>('greet');
    expect(greeted.map(({ id }) => id).toSorted((a, b) => a - b)).toEqual(upTo(authors));
    expect(await database.deadLetters()).toEqual([]);
  },
  DEADLINE_MS,
);

it.each([
  ['exit', { code: 1, signal: null }],
  ['kill', { code: null, signal: 'SIGKILL' }],
] as const)(
  'workers give up a notification that crashed its process three times (%s), and handle the others of its claim',
  async (act, crashed) => {
    await database.store(
      'tasks',
      upTo(10).map((n) => (n === 5 ? { n, act } : { n })),
    );
    const options = { retry: { maxAttempts: 3 }, batch: { maxTimeMs: 60_000 } }; // one claim, however slow the machine
    const settings = { name: 'crashing', options };
    const crash = async () => {
      await using worker = StoredWorker.spawn(database.url, settings);
      return await worker.exited;
    };
    expect(await crash()).toEqual(crashed);
    const inOneClaim = 'pgpubsub_notification group by xmax having xmax <> 0';
    expect(await database.query(`select count(*)::int as n from ${inOneClaim}`)).toEqual([{ n: 10 }]);
    expect(await crash()).toEqual(crashed);
    expect(await crash()).toEqual(crashed);
    expect(await database.deadLetters()).toEqual([]);

    await using _survivor = await StoredWorker.start(database.url, settings);
    await database.drained();
    const handled = await database.effects('work');
    expect(handled.map(({ n }) => n).toSorted((a, b) => a - b)).toEqual(upTo(10).filter((n) => n !== 5));
    const reason = 'the process or its connection ended 3 times while the handlers ran';
    expect(await database.deadLetters()).toEqual([
      expect.objectContaining({
        payload: { n: 5, act },
        listener: 'TaskListeners.work',
        attempts: 3,
        last_error: expect.stringContaining(reason) as string,
      }),
    ]);
  },
);
