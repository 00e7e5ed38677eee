import { readFileSync } from 'node:fs';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { text } from 'node:stream/consumers';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { PROGRAM, STORED_DATA_SOURCE, pgpubsub } from '../support/command.js';
import { TestDatabase } from '../support/database.js';
import { StoredDatabase } from '../support/stored-worker.js';

/** The commands that need a database, with their required arguments. */
const COMMANDS = [
  ['check'],
  ['status'],
  ['dead-letters', 'list'],
  ['dead-letters', 'retry', '--all'],
  ['dead-letters', 'discard', '--all'],
  ['doctor'],
].map((command) => ({ command, name: command.join(' ') }));

describe.each(COMMANDS)('pgpubsub $name', ({ command }) => {
  it('reports an unreachable database in one sentence', async () => {
    const ended = await pgpubsub([...command, '-d', STORED_DATA_SOURCE], {
      DATABASE_URL: 'postgres://postgres@127.0.0.1:1/none',
    });
    expect(ended).toMatchObject({ code: 1, stdout: '' });
    expect(ended.stderr).toMatch(
      /^pgpubsub: could not connect .+ ECONNREFUSED 127\.0\.0\.1:1\. Check the address .+\n$/,
    );
  });

  it('reports a missing file of the DataSource and a missing option', async () => {
    const missing = await pgpubsub([...command, '-d', 'no-such-file.js']);
    expect(missing).toMatchObject({ code: 2, stdout: '' });
    expect(missing.stderr).toMatch(
      /^pgpubsub: expected no-such-file\.js to export one DataSource, got: .+ module '\S+\/no-such-file\.js'\. Name the built file .+\n$/,
    );

    const unnamed = await pgpubsub(command);
    expect(unnamed).toMatchObject({ code: 2, stdout: '' });
    expect(unnamed.stderr).toContain("required option '-d, --data-source <file>'");
  });

  it('prints a help text', async () => {
    const ended = await pgpubsub([...command.slice(0, 2).filter((word) => !word.startsWith('-')), '--help']);
    expect(ended).toMatchObject({ code: 0, stderr: '' });
    expect(ended.stdout).toContain('-d, --data-source <file>');
  });
});

it('pgpubsub --version prints the version of the package', async () => {
  const { version } = JSON.parse(readFileSync('package.json', 'utf8')) as { version: string };
  expect(await pgpubsub(['--version'])).toMatchObject({ code: 0, stdout: `${version}\n`, stderr: '' });
});

it('pgpubsub exits with 0 when the reader of its output has closed the pipe', async () => {
  const child = spawn(process.execPath, [PROGRAM, 'doctor', '--help'], { stdio: ['ignore', 'pipe', 'pipe'] });
  child.stdout.destroy();
  const [code, errors] = await Promise.all([once(child, 'close'), text(child.stderr)]);
  expect(code).toEqual([0, null]);
  expect(errors).toBe('');
});

it('pgpubsub status names a missing privilege of its role and the remedy', async () => {
  await using database = await StoredDatabase.create();
  await database.query(
    `do $$ begin create role reader login; exception when duplicate_object then null; end $$`,
  );
  const url = new URL(database.url);
  url.username = 'reader';
  const ended = await pgpubsub(['status', '-d', STORED_DATA_SOURCE], { DATABASE_URL: url.href });
  expect(ended).toMatchObject({ code: 1, stdout: '' });
  expect(ended.stderr).toMatch(
    /^pgpubsub: the role of .+ lacks a right: permission denied for table \w+\. Grant the right.+\n$/,
  );
});

it.each([
  ['status', 'pgpubsub_notification'],
  ['check', 'pg_trigger'],
])('pgpubsub %s reports a lock on its tables after a short timeout', async (command, table) => {
  await using database = await StoredDatabase.create();
  const client = await database.client();
  await client.query(`begin; lock table ${table}`);
  const ended = await pgpubsub([command, '-d', STORED_DATA_SOURCE], { DATABASE_URL: database.url });
  expect(ended).toMatchObject({ code: 1, stdout: '' });
  expect(ended.stderr).toMatch(/^pgpubsub: could not get a lock .+ lock timeout\. A migration .+\n$/);
});

describe('a database without the tables of stored notifications', () => {
  let database: TestDatabase;
  beforeAll(async () => {
    database = await TestDatabase.create();
  });
  afterAll(() => database[Symbol.asyncDispose]());

  it.each(COMMANDS.filter(({ name }) => /status|dead-letters/.test(name)))(
    'makes pgpubsub $name report the missing table and the remedy',
    async ({ command }) => {
      const ended = await pgpubsub([...command, '-d', STORED_DATA_SOURCE], { DATABASE_URL: database.url });
      expect(ended).toMatchObject({ code: 1, stdout: '' });
      expect(ended.stderr).toMatch(
        /^pgpubsub: the schema "\w+" has no table "pgpubsub_notification", .+migration:run"\.\n$/,
      );
    },
  );
});
