import { execFile } from 'node:child_process';
import { once } from 'node:events';
import http from 'node:http';
import net from 'node:net';
import { promisify } from 'node:util';
import { describe, expect, it } from 'vitest';
import { TestDatabase } from '../support/database.js';
import { eventually } from '../support/mailbox.js';
import { SampleApp } from '../support/sample-app.js';

const execute = promisify(execFile);
const TYPEORM = 'node_modules/typeorm/cli.js';
const DATA_SOURCE = 'sample-app/dist/data-source.js';

describe('the sample application, in two processes on one database', () => {
  it('shows the commands to try in its log and on its page', async () => {
    await using database = await TestDatabase.create();
    await using first = await SampleApp.start(database.url);

    const command = await first.output.find((line) => line.includes('a second process'));
    const { status, headers, text } = await first.request('GET', '/');

    expect(command).toMatch(/: PORT=\d+ DATABASE_URL=\S+ node sample-app\/dist\/main\.js$/);
    expect(command).toContain(database.url);
    expect(status).toBe(200);
    expect(headers.get('content-type')).toContain('text/html');
    expect(headers.get('content-security-policy')).toContain("default-src 'none'");
    expect(text).toContain(`curl -X POST ${first.origin}/authors`);
    expect(text).toContain(`psql '${database.url}' -c`);
    expect(text).not.toMatch(/(?:src|href)="(?:https?:)?\/\//);
    const files = Array.from(text.matchAll(/(?:src|href)="(\/[^"]+)"/g), ([, path = '']) => path);
    for (const path of files)
      await expect(first.request('GET', path)).resolves.toMatchObject({ status: 200 });
    await expect(first.request('GET', '/page/..%2Fsettings.js')).resolves.toMatchObject({ status: 404 });
  });

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

  it('reports its health and the reasons why it is degraded', async () => {
    await using database = await TestDatabase.create();
    await using first = await SampleApp.start(database.url);

    const well = await first.request('GET', '/health');
    await database.query(
      `insert into pgpubsub_dead_letter (id, channel, listener, created_at) values (1, 'post_reads', 'x', now())`,
    );
    const degraded = await first.request('GET', '/health');

    expect(well).toMatchObject({
      status: 200,
      body: { status: 'ok', details: { pubsub: { health: 'up', connection: { state: 'listening' } } } },
    });
    expect(degraded).toMatchObject({
      status: 200,
      body: { details: { pubsub: { health: 'degraded', reasons: ['1 dead letter: 1 of "post_reads"'] } } },
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

  it('answers invalid input with status 400 and a sentence, and an unknown post with 404', async () => {
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
      body: { message: ['the id of a post must be a whole number, such as 1'] },
    });
    await expect(first.request('PATCH', '/posts/1', { content: 1 })).resolves.toMatchObject({ status: 400 });
    await expect(first.request('GET', '/posts/1')).resolves.toMatchObject({ status: 404 });
    await expect(first.request('PATCH', '/posts/1', { content: 'x' })).resolves.toMatchObject({
      status: 404,
    });
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

  it('has a migration for everything that its entities declare', async () => {
    await using database = await TestDatabase.create();
    await runMigrations(database);

    const args = ['migration:generate', 'sample-app/src/migrations/none', '--check', '-d', DATA_SOURCE];
    const env = { ...process.env, DATABASE_URL: database.url };
    const { stdout } = await execute(process.execPath, [TYPEORM, ...args], { env });

    expect(stdout).toContain('No changes in database schema were found');
  });

  it('rejects requests of other sites, both changes and feeds', async () => {
    await using database = await TestDatabase.create();
    await using app = await SampleApp.start(database.url);
    const { host, port } = new URL(app.origin);
    const ask = (method: string, path: string, headers: Record<string, string>) =>
      statusOf(app.origin + path, { method, headers: { host, ...headers } }, '{"name":"Mallory"}');
    const json = { 'content-type': 'application/json' };

    const foreign = { origin: 'https://example.com' };
    const rebound = { host: `example.com:${port}` };
    await expect(ask('POST', '/authors', { ...json, ...foreign })).resolves.toBe(403);
    await expect(ask('POST', '/authors', { ...json, ...rebound })).resolves.toBe(403);
    await expect(
      ask('POST', '/authors', { ...json, ...rebound, origin: `http://example.com:${port}` }),
    ).resolves.toBe(403);
    await expect(ask('POST', '/processes/interruptions', { 'sec-fetch-site': 'same-site' })).resolves.toBe(
      403,
    );
    for (const path of ['/feed', '/feed/front-page'])
      for (const headers of [foreign, rebound, { 'sec-fetch-site': 'cross-site' }])
        await expect(ask('GET', path, headers)).resolves.toBe(403);
    await expect(database.query('select from author')).resolves.toEqual([]);
    await expect(ask('POST', '/authors', { ...json, origin: app.origin })).resolves.toBe(201);
  });

  it('shows the address of the database without its password', async () => {
    await using database = await TestDatabase.create();
    const url = new URL(database.url);
    url.password = 'hunter2';
    await using app = await SampleApp.start(url.href);

    const { text } = await app.request('GET', '/');

    expect(text).toContain(`psql '${database.url}' -c`);
    expect(text).not.toContain('hunter2');
    expect(app.output.all.join('\n')).not.toContain('hunter2');
  });

  it('exits with 1 and names DATABASE_URL when it is not set', async () => {
    await using app = SampleApp.run({});

    await expect(app.exit.next()).resolves.toEqual({ code: 1, signal: null });
    expect(app.output.all).toHaveLength(1);
    expect(app.output.all[0]).toContain(
      'DATABASE_URL is not set. Set it to the address of a PostgreSQL database',
    );
  });
});

/** Returns the status of a request with these headers. fetch() would replace the header `host`. */
async function statusOf(
  url: string,
  options: http.RequestOptions,
  body: string,
): Promise<number | undefined> {
  const request = http.request(url, options);
  request.end(options.method === 'POST' ? body : undefined);
  const [response] = (await once(request, 'response')) as [http.IncomingMessage];
  response.destroy();
  return response.statusCode;
}

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
