import { afterEach, beforeEach, expect, it } from 'vitest';
import { StoredDatabase, StoredWorker } from '../support/stored-worker.js';
import { eventually } from '../support/mailbox.js';

let database: StoredDatabase;
const workers: StoredWorker[] = [];
beforeEach(async () => {
  database = await StoredDatabase.create();
});
afterEach(async () => {
  for (const worker of workers.splice(0)) await worker[Symbol.asyncDispose]();
  await database[Symbol.asyncDispose]();
});

const NAMES = ['one', 'two', 'three'];
const upTo = (count: number) => Array.from({ length: count }, (_, index) => index + 1);

async function start(names: readonly string[], settings: { delayMs?: number } = {}): Promise<void> {
  workers.push(
    ...(await Promise.all(names.map((name) => StoredWorker.start(database.url, { name, ...settings })))),
  );
}

it('three workers share 5,000 authors and write exactly one first post for each', async () => {
  await start(NAMES, { delayMs: 2 });
  await database.insertAuthors(5_000);
  await database.drained();

  const posts = await database.query<{ author: number }>('select "authorId" as author from post order by 1');
  expect(posts.map(({ author }) => author)).toEqual(upTo(5_000));
  const shares = await database.query<{ process: string }>('select distinct process from post order by 1');
  expect(shares.map(({ process }) => process)).toEqual(NAMES.toSorted());
  expect(await database.count("effect where listener = 'greet'")).toBe(5_000);
  expect(await database.deadLetters()).toEqual([]);
});

it('three workers handle each key strictly in order, and a failure delays only its own key', async () => {
  await start(NAMES);
  for (const n of upTo(100)) {
    const keys = upTo(100).map((key) => ({ key: `k${key}`, n }));
    await database.store('steps', keys);
  }
  await database.drained();

  const steps = await database.effects<{ key: string; n: number; alone: boolean }>('step');
  const byKey = new Map<string, number[]>();
  for (const { key, n } of steps) byKey.set(key, [...(byKey.get(key) ?? []), n]);
  expect([...byKey.values()]).toEqual(upTo(100).map(() => upTo(100)));
  expect(steps.filter(({ alone }) => !alone)).toEqual([]);
  const shares = await database.query<{ process: string }>('select distinct process from effect order by 1');
  expect(shares.map(({ process }) => process)).toEqual(NAMES.toSorted());
});

it('workers retry only the failing listener, up to its last attempt, and then store a dead letter', async () => {
  await start(['one', 'two']);
  await database.store(
    'pairs',
    upTo(200).map((n) => ({ n })),
  );
  await database.drained();

  const handled = await database.effects('neverFail');
  expect(handled.map(({ n }) => n).toSorted((a, b) => a - b)).toEqual(upTo(200));
  expect(await database.effects('alwaysFail')).toEqual([]);
  const letters = await database.deadLetters();
  expect(letters.map(({ payload }) => payload)).toEqual(upTo(200).map((n) => ({ n })));
  for (const { listener, attempts, last_error, payload } of letters) {
    expect({ listener, attempts }).toEqual({ listener: 'PairListeners.alwaysFail', attempts: 3 });
    expect(last_error).toContain(`there is no way with ${(payload as { n: number }).n}, the attempt was 3`);
  }
});

it('a handler that hangs delays neither other channels nor other notifications of its channel', async () => {
  await start(['one']);
  const [worker] = workers;
  await database.store('tasks', [{ n: 0, act: 'wait' }]);
  await worker?.reported('waiting');

  await database.store(
    'tasks',
    upTo(50).map((n) => ({ n })),
  );
  await database.insertAuthors(50);
  await eventually(
    async () => (await database.effects('work')).length === 50,
    'other notifications of its channel are handled',
  );
  await eventually(async () => (await database.count('post')) === 50, 'other channels are handled');
  expect(await database.count('pgpubsub_notification')).toBe(1);

  worker?.send({ type: 'release' });
  await database.drained();
  expect((await database.effects('work')).map(({ n }) => n).toSorted((a, b) => a - b)).toEqual([
    0,
    ...upTo(50),
  ]);
});
