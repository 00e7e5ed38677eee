import { execFile } from 'node:child_process';
import { once } from 'node:events';
import http from 'node:http';
import { promisify } from 'node:util';
import { describe, expect, it } from 'vitest';
import { TestDatabase } from '../support/database.js';
import { SampleApp } from '../support/sample-app.js';

const execute = promisify(execFile);
const TYPEORM = 'node_modules/typeorm/cli.js';
const DATA_SOURCE = 'sample-app/dist/data-source.js';

describe('the sample application', () => {
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

  it('has a migration for everything that its entities declare', async () => {
    await using database = await TestDatabase.create();
    // runs the migrations
    await SampleApp.start(database.url).then((app) => app[Symbol.asyncDispose]());

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
