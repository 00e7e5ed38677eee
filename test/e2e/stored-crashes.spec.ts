import { afterEach, beforeEach, expect, it } from 'vitest';
import { MOMENTS, type Death, type Moment } from './apps/stored/death.js';
import { eventually } from '../support/mailbox.js';
import { StoredDatabase, StoredWorker, type Exit } from '../support/stored-worker.js';

let database: StoredDatabase;
beforeEach(async () => {
  database = await StoredDatabase.create();
});
afterEach(() => database[Symbol.asyncDispose]());

const DEATHS = 50;
const LOAD = 200;
const DEADLINE_MS = 240_000;
const upTo = (count: number) => Array.from({ length: count }, (_, index) => index + 1);

/** Keeps so many notifications waiting until it is stopped; resolves with how many authors there are. */
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

/** One process after the other, each of which dies at its moment. */
async function dieOneByOne(name: string, deaths: readonly Death[]): Promise<(Moment | Exit)[]> {
  const ends: (Moment | Exit)[] = [];
  for (const death of deaths) {
    await using worker = StoredWorker.spawn(database.url, { name, death });
    const exit = await worker.exited;
    const dying = worker.reports.all.find((report) => report.type === 'dying');
    ends.push(exit.signal === 'SIGKILL' && dying ? dying.moment : exit);
  }
  return ends;
}

it(
  'loses nothing and does nothing twice, with 50 processes killed in the midst of it',
  async () => {
    const deaths = upTo(DEATHS).map((n): Death => {
      const moment = MOMENTS[n % MOMENTS.length] ?? 'after the claim';
      return { moment, time: 1 + Math.floor(Math.random() * (moment === 'after a write' ? 40 : 4)) };
    });
    let areDead = false;
    const feeding = feed(() => areDead);
    const half = DEATHS / 2;
    const dying = [dieOneByOne('one', deaths.slice(0, half)), dieOneByOne('two', deaths.slice(half))];
    const ends = await Promise.all(dying).finally(() => (areDead = true));
    const authors = await feeding;
    await using _survivor = await StoredWorker.start(database.url, { name: 'survivor' });
    await database.drained();

    expect(ends.flat()).toEqual(deaths.map(({ moment }) => moment));
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
  'gives up a notification that took its process down three times (%s), and none of its neighbours',
  async (act, death) => {
    await database.store(
      'tasks',
      upTo(10).map((n) => (n === 5 ? { n, act } : { n })),
    );
    const settings = { name: 'mortal', options: { retry: { maxAttempts: 3 } } };
    const die = async () => {
      await using worker = StoredWorker.spawn(database.url, settings);
      return await worker.exited;
    };
    expect(await die()).toEqual(death);
    const inOneClaim = 'pgpubsub_notification group by xmax having xmax <> 0';
    expect(await database.query(`select count(*)::int as n from ${inOneClaim}`)).toEqual([{ n: 10 }]);
    expect(await die()).toEqual(death);
    expect(await die()).toEqual(death);
    expect(await database.deadLetters()).toEqual([]);

    await using _survivor = await StoredWorker.start(database.url, settings);
    await database.drained();
    const handled = await database.effects('work');
    expect(handled.map(({ n }) => n).toSorted((a, b) => a - b)).toEqual(upTo(10).filter((n) => n !== 5));
    const reason = 'expected its handlers to end, but 3 times the process or its connection ended';
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
