import { afterAll, beforeAll, expect, it } from 'vitest';
import { startPostgres, type Server } from '../../tools/embedded-postgres.js';
import { StoredDatabase, StoredWorker } from '../support/stored-worker.js';

const isForeign = process.env['DATABASE_URL'] !== undefined;

let server: Server;
beforeAll(async () => {
  // durable: committed data must survive the crash
  server = await startPostgres({ durable: true });
});
afterAll(() => server.stop());

const LOAD = 200;
const upTo = (count: number) => Array.from({ length: count }, (_, index) => index + 1);

/** Runs `work` while two processes handle authors; then expects each author to be handled once. */
async function underLoad(database: StoredDatabase, work: () => Promise<void>): Promise<void> {
  // the oldest row may be claimed again after each terminated claim
  const options = { retry: { maxAttempts: 1_000 } };
  await using _one = await StoredWorker.start(database.url, { name: 'one', delayMs: 2, options });
  await using _two = await StoredWorker.start(database.url, { name: 'two', delayMs: 2, options });
  await database.insertAuthors(LOAD);
  await work();
  await database.drained();
  await expectEachOnce(database);
}

/** Expects exactly one effect of each listener for each author. */
async function expectEachOnce(database: StoredDatabase): Promise<void> {
  const authors = await database.query<{ id: number }>('select id from author order by id');
  const ids = authors.map(({ id }) => id);
  const posts = await database.query<{ author: number }>('select "authorId" as author from post order by 1');
  expect(posts.map(({ author }) => author)).toEqual(ids);
  const greeted = await database.effects<{ id: number }>('greet');
  expect(greeted.map(({ id }) => id).toSorted((a, b) => a - b)).toEqual(ids);
  expect(await database.deadLetters()).toEqual([]);
}

/** The sessions that have locked notifications. */
const CLAIMING = `select distinct pid from pg_locks
  where relation = 'pgpubsub_notification'::regclass and mode = 'RowShareLock'`;

it('workers handle each notification exactly once while claiming connections are terminated repeatedly', async () => {
  await using database = await StoredDatabase.create(server.url);
  await underLoad(database, async () => {
    const client = await database.client();
    let terminated = 0;
    const deadline = Date.now() + 60_000;
    while (terminated < 50) {
      if ((await database.count('pgpubsub_notification')) < LOAD) await database.insertAuthors(LOAD);
      const { rows } = await client.query<{ ended: boolean }>(
        `select pg_terminate_backend(pid) as ended from (${CLAIMING}) as claiming`,
      );
      terminated += rows.filter(({ ended }) => ended).length;
      expect(Date.now()).toBeLessThan(deadline);
    }
  });
});

it.skipIf(isForeign)(
  'workers handle each notification exactly once while the server crashes under load',
  async () => {
    await using database = await StoredDatabase.create(server.url);
    await underLoad(database, async () => {
      for (const crash of upTo(4)) {
        await database.insertAuthors(LOAD);
        const client = await database.client();
        let isClaiming = false;
        while (!isClaiming) isClaiming = (await client.query(CLAIMING)).rows.length > 0;
        await server.halt('QUIT');
        await server.resume();
        expect(await database.count('author')).toBe((crash + 1) * LOAD);
      }
    });
  },
);
