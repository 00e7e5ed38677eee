import { once } from 'node:events';
import net from 'node:net';
import { isDeepStrictEqual } from 'node:util';
import { describe, expect, it } from 'vitest';
import { TestDatabase } from '../support/database.js';
import { eventually } from '../support/mailbox.js';
import { SampleApp } from '../support/sample-app.js';

describe('the sample application, in two processes on one database', () => {
  it('says when it has started, and on its page, what to try', async () => {
    await using database = await TestDatabase.create();
    await using first = await SampleApp.start(database.url);

    const command = await first.output.find((line) => line.includes('A second process'));
    const { status, headers, text } = await first.request('GET', '/');

    expect(command).toMatch(/: PORT=\d+ DATABASE_URL=\S+ node sample-app\/dist\/main\.js$/);
    expect(command).toContain(database.url);
    expect(status).toBe(200);
    expect(headers.get('content-type')).toContain('text/html');
    expect(text).toContain(`curl -X POST ${first.origin}/authors`);
    expect(text).toContain("new EventSource('/feed')");
    expect(text).not.toMatch(/(?:src|href)="(?:https?:)?\/\//);
  });

  it('shows an author created in one process in the feed of the other', async () => {
    await using database = await TestDatabase.create();
    await using first = await SampleApp.start(database.url);
    await using second = await SampleApp.start(database.url);
    await using feed = await second.feed();
    await second.request('POST', '/authors', { name: 'Ada' }); // sent when what this process observes is listened to
    await feed.events.next();

    const { status, body } = await first.request('POST', '/authors', { name: 'Grace' });

    expect(status).toBe(201);
    expect(body).toMatchObject({
      author: { id: 2, name: 'Grace' },
      post: { id: 2, authorId: 2, content: expect.stringContaining('Welcome!') as string },
    });
    await expect(feed.events.next()).resolves.toEqual({
      type: 'author',
      data: expect.objectContaining({ operation: 'insert', new: { id: 2, name: 'Grace' } }) as unknown,
    });
  });

  it('shows authors as they change, also when another program changes them', async () => {
    await using database = await TestDatabase.create();
    await using first = await SampleApp.start(database.url);
    await using feed = await first.feed();
    await first.request('POST', '/authors', { name: 'Ada' });
    await feed.events.next();

    await database.query(`update author set name = 'Grace' where id = 1`);

    await expect(feed.events.next()).resolves.toEqual({
      type: 'author',
      data: expect.objectContaining({
        operation: 'update',
        old: { id: 1, name: 'Ada' },
        new: { id: 1, name: 'Grace' },
        changed: ['name'],
      }) as unknown,
    });
  });

  it('shows reads and changes in the feed, too', async () => {
    await using database = await TestDatabase.create();
    await using first = await SampleApp.start(database.url);
    await using second = await SampleApp.start(database.url);
    await using feed = await second.feed();
    await second.request('POST', '/authors', { name: 'Ada' });

    await first.request('GET', '/posts/1');
    await first.request('PATCH', '/posts/1', { content: 'News!' });

    const types = (await feed.events.take(3)).map(({ type }) => type);
    expect(types).toEqual(['author', 'post_reads', 'post_changed']);
    expect(feed.events.all.at(-1)?.data).toEqual({ id: 1 });
  });

  it('answers invalid input with 400 and a sentence, and what is absent with 404', async () => {
    await using database = await TestDatabase.create();
    await using first = await SampleApp.start(database.url);

    await expect(first.request('POST', '/authors', {})).resolves.toMatchObject({
      status: 400,
      body: { message: [expect.stringMatching(/^name: .*expected string/)] },
    });
    await expect(first.request('POST', '/authors', { name: ' ' })).resolves.toMatchObject({ status: 400 });
    await expect(first.request('POST', '/authors', { name: 'A\0' })).resolves.toMatchObject({ status: 400 });
    await expect(first.request('POST', '/authors')).resolves.toMatchObject({ status: 400 });
    await expect(first.request('GET', '/posts/first')).resolves.toMatchObject({
      status: 400,
      body: { message: ['expected the id of a post, a whole number such as 1'] },
    });
    await expect(first.request('PATCH', '/posts/1', { content: 1 })).resolves.toMatchObject({ status: 400 });
    await expect(first.request('GET', '/posts/1')).resolves.toMatchObject({ status: 404 });
    await expect(first.request('PATCH', '/posts/1', { content: 'x' })).resolves.toMatchObject({
      status: 404,
    });
  });

  it('drops a post from the cache of every process when one changes it', async () => {
    await using database = await TestDatabase.create();
    await using first = await SampleApp.start(database.url);
    await using second = await SampleApp.start(database.url);
    await first.request('POST', '/authors', { name: 'Ada' });
    await expect(readPost(second)).resolves.toMatchObject({ cache: 'miss' });
    await expect(readPost(second)).resolves.toMatchObject({ cache: 'hit' });

    await first.request('PATCH', '/posts/1', { content: 'News!' });

    const isNew = async () => (await readPost(second)).content === 'News!';
    await eventually(isNew, 'the second process answers with the new content');
    await expect(readPost(second)).resolves.toEqual({ cache: 'hit', content: 'News!' });
  });

  it('counts in every process the reads of all', async () => {
    await using database = await TestDatabase.create();
    await using first = await SampleApp.start(database.url);
    await using second = await SampleApp.start(database.url);
    await first.request('POST', '/authors', { name: 'Ada' });

    await Promise.all([readPost(first), readPost(first), readPost(second)]);

    const counts = async () => [
      (await first.request('GET', '/reads')).body as Record<string, number>,
      (await second.request('GET', '/reads')).body as Record<string, number>,
    ];
    const agree = async () => {
      const [one, other] = await counts();
      return isDeepStrictEqual(one, other) && sum(Object.values(one ?? {})) === 3;
    };
    await eventually(agree, 'both processes count three reads');
  });

  it('clears the caches and keeps the feeds when the LISTEN connections were lost', async () => {
    await using database = await TestDatabase.create();
    await using first = await SampleApp.start(database.url);
    await using second = await SampleApp.start(database.url);
    await using feed = await second.feed();
    await second.request('POST', '/authors', { name: 'Ada' });
    await readPost(second);
    await expect(readPost(second)).resolves.toMatchObject({ cache: 'hit' });

    await expect(database.terminateListeners()).resolves.toBe(2);

    const isMissed = async () => (await readPost(second)).cache === 'miss';
    await eventually(isMissed, 'the second process has cleared its cache');
    await first.request('POST', '/authors', { name: 'Grace' });
    await expect(
      feed.events.find(
        ({ type, data }) => type === 'author' && (data as { new: { name: string } }).new.name === 'Grace',
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
    expect(Date.now() - startedMs).toBeLessThan(5_000);
    await expect(feed.end.next()).resolves.toBe('ended');
    spare.destroy();
    await expect(other.end.next()).resolves.toBe('ended');
  });

  it('says what is missing when it has no DATABASE_URL', async () => {
    await using app = SampleApp.run({});

    await expect(app.exit.next()).resolves.toEqual({ code: 1, signal: null });
    expect(app.output.all).toHaveLength(1);
    expect(app.output.all[0]).toContain('expected DATABASE_URL to be the address of a PostgreSQL database');
  });
});

async function readPost(app: SampleApp): Promise<{ cache: string | null; content: string }> {
  const { headers, body } = await app.request('GET', '/posts/1');
  return { cache: headers.get('x-cache'), content: (body as { content: string }).content };
}

const sum = (numbers: readonly number[]): number => numbers.reduce((total, number) => total + number, 0);
