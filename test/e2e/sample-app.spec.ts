import { once } from 'node:events';
import net from 'node:net';
import { describe, expect, it } from 'vitest';
import { TestDatabase } from '../support/database.js';
import { eventually } from '../support/mailbox.js';
import { SampleApp } from '../support/sample-app.js';

describe('the sample application, in two processes on one database', () => {
  it('shows an author created in one process in the feed of the other', async () => {
    await using database = await TestDatabase.create();
    await using first = await SampleApp.start(database.url);
    await using second = await SampleApp.start(database.url);
    await using feed = await second.feed(database);

    const { status, body } = await first.request('POST', '/authors', { name: 'Grace' });

    expect(status).toBe(201);
    expect(body).toEqual({ id: 1, name: 'Grace' });
    await expect(feed.events.next()).resolves.toEqual({
      type: 'author_feed',
      data: expect.objectContaining({ operation: 'insert', new: { id: 1, name: 'Grace' } }) as unknown,
    });
  });

  it('writes one first post for each author, no matter which program inserted the author', async () => {
    await using database = await TestDatabase.create();
    await using first = await SampleApp.start(database.url);
    await using second = await SampleApp.start(database.url);
    await using feed = await second.feed();

    await Promise.all([
      database.query(`insert into author (name) select 'author ' || n from generate_series(1, 300) n`),
      ...Array.from({ length: 25 }, () => first.request('POST', '/authors', { name: 'Ada' })),
      ...Array.from({ length: 25 }, () => second.request('POST', '/authors', { name: 'Grace' })),
    ]);

    await eventually(() => hasHandledAll(database), 'everything is handled');
    const counts = `select count(*)::int as posts, count(distinct author_id)::int as authors from post`;
    await expect(database.query(counts)).resolves.toEqual([{ posts: 350, authors: 350 }]);
    await expect(database.query('select from pgpubsub_dead_letter')).resolves.toEqual([]);
    const post = await feed.events.find(({ type }) => type === 'post');
    expect(post.data).toMatchObject({
      new: { content: expect.stringContaining('first post of') as unknown },
    });
  });

  it('writes the first posts of authors that were inserted while no process ran', async () => {
    await using database = await TestDatabase.create();
    await runMigrations(database);
    await database.query(`insert into author (name) values ('Ada'), ('Grace')`);

    await using first = await SampleApp.start(database.url);

    await eventually(() => hasHandledAll(database), 'everything is handled');
    await expect(first.request('GET', '/posts/1')).resolves.toMatchObject({ body: { authorId: 1 } });
    await expect(first.request('GET', '/posts/2')).resolves.toMatchObject({ body: { authorId: 2 } });
  });

  it('shows changes of authors in the feed, also those of another program', async () => {
    await using database = await TestDatabase.create();
    await using first = await SampleApp.start(database.url);
    await using feed = await first.feed(database);
    await createAuthor(first, database);
    await feed.events.take(2); // the author and the first post

    await database.query(`update author set name = 'Grace' where id = 1`);

    await expect(feed.events.next()).resolves.toEqual({
      type: 'author_feed',
      data: expect.objectContaining({
        operation: 'update',
        old: { id: 1, name: 'Ada' },
        new: { id: 1, name: 'Grace' },
        changed: ['name'],
      }) as unknown,
    });
  });

  it('shows reads and changes of posts in the feed', async () => {
    await using database = await TestDatabase.create();
    await using first = await SampleApp.start(database.url);
    await using second = await SampleApp.start(database.url);
    await using feed = await second.feed(database);
    await createAuthor(second, database);

    await first.request('GET', '/posts/1');
    const counted = await feed.events.find(({ type }) => type === 'reads_per_day');
    await first.request('PATCH', '/posts/1', { content: 'News!' });
    const changed = await feed.events.find(({ type }) => type === 'post_changed');

    expect(counted.data).toMatchObject({ operation: 'update', new: { reads: 1 } });
    expect(changed.data).toEqual({ id: 1 });
    expect(new Set(feed.events.all.map(({ type }) => type))).toEqual(
      new Set(['author_feed', 'post', 'reads_per_day', 'post_changed']),
    );
  });

  it('removes a changed post from the cache of every process', async () => {
    await using database = await TestDatabase.create();
    await using first = await SampleApp.start(database.url);
    await using second = await SampleApp.start(database.url);
    await createAuthor(first, database);
    await expect(readPost(second)).resolves.toMatchObject({ cache: 'miss' });
    await expect(readPost(second)).resolves.toMatchObject({ cache: 'hit' });

    await first.request('PATCH', '/posts/1', { content: 'News!' });

    const isNew = async () => (await readPost(second)).content === 'News!';
    await eventually(isNew, 'the second process answers with the new content');
    await expect(readPost(second)).resolves.toEqual({ cache: 'hit', content: 'News!' });
  });

  it('counts every read once, no matter which process serves or counts it', async () => {
    await using database = await TestDatabase.create();
    await using first = await SampleApp.start(database.url);
    await using second = await SampleApp.start(database.url);
    await createAuthor(first, database);

    await Promise.all(Array.from({ length: 200 }, (_, n) => readPost(n % 2 === 0 ? first : second)));

    await eventually(() => hasHandledAll(database), 'everything is handled');
    for (const app of [first, second]) {
      const { body } = await app.request('GET', '/reads');
      // two days when the test runs at midnight
      expect(sum(Object.values(body as Record<string, number>))).toBe(200);
    }
    await expect(database.query('select from pgpubsub_dead_letter')).resolves.toEqual([]);
  });

  it('clears the caches and keeps the feeds when the LISTEN connections are lost', async () => {
    await using database = await TestDatabase.create();
    await using first = await SampleApp.start(database.url);
    await using second = await SampleApp.start(database.url);
    await using feed = await second.feed(database);
    await createAuthor(second, database);
    await readPost(second);
    await expect(readPost(second)).resolves.toMatchObject({ cache: 'hit' });

    await expect(database.terminateListeners()).resolves.toBe(2);

    const isMissed = async () => (await readPost(second)).cache === 'miss';
    await eventually(isMissed, 'the second process has cleared its cache');
    await first.request('POST', '/authors', { name: 'Grace' });
    await expect(
      feed.events.find(
        ({ type, data }) =>
          type === 'author_feed' && (data as { new: { name: string } }).new.name === 'Grace',
      ),
    ).resolves.toBeDefined();
  });

  it('ends on SIGTERM within seconds although feeds and spare connections are open', async () => {
    await using database = await TestDatabase.create();
    await using first = await SampleApp.start(database.url);
    await using second = await SampleApp.start(database.url);
    await using feed = await first.feed();
    await using other = await second.feed();
    const spare = net.connect(Number(new URL(second.origin).port));
    await once(spare, 'connect');
    const startedMs = Date.now();

    first.kill('SIGTERM');
    second.kill('SIGTERM');

    await expect(first.exit.next()).resolves.toEqual({ code: 0, signal: null });
    await expect(second.exit.next()).resolves.toEqual({ code: 0, signal: null });
    expect(Date.now() - startedMs).toBeLessThan(12_000); // does not wait for the feeds
    await expect(feed.end.next()).resolves.toBe('ended');
    spare.destroy();
    await expect(other.end.next()).resolves.toBe('ended');
  });
});

/** Starts and ends the application, which runs the migrations. */
async function runMigrations({ url }: TestDatabase): Promise<void> {
  await using _app = await SampleApp.start(url);
}

/** Creates an author; resolves when the first post exists. */
async function createAuthor(app: SampleApp, database: TestDatabase): Promise<void> {
  await app.request('POST', '/authors', { name: 'Ada' });
  await eventually(() => hasHandledAll(database), 'the author has a first post');
}

async function hasHandledAll(database: TestDatabase): Promise<boolean> {
  return (await database.query('select from pgpubsub_notification')).length === 0;
}

async function readPost(app: SampleApp): Promise<{ cache: string | null; content: string }> {
  const { headers, body } = await app.request('GET', '/posts/1');
  return { cache: headers.get('x-cache'), content: (body as { content: string }).content };
}

const sum = (numbers: readonly number[]): number => numbers.reduce((total, number) => total + number, 0);
