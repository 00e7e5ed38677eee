import { spawn } from 'node:child_process';
import { once } from 'node:events';
import fs from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { pgpubsub, type Ended } from '../support/command.js';
import { ListenCommand } from '../support/listen-command.js';
import { eventually } from '../support/mailbox.js';
import { StoredDatabase } from '../support/stored-worker.js';

const fromApp = (file: string) => fileURLToPath(new URL(`apps/.build/main-first/${file}`, import.meta.url));
const APP = fromApp('app.module.js');
const TRANSACTIONAL = fromApp('transactional.js');
const HINT =
  'If main.ts does something first, such as reading .env or initializeTransactionalContext(), do it here, too: ' +
  '"--env-file .env", "--import <file>".';

let database: StoredDatabase;
let folder: string;
/** The .env file with the address of the database. */
let address: string;
beforeAll(async () => {
  database = await StoredDatabase.create();
  folder = fs.mkdtempSync(fileURLToPath(new URL('apps/.build/preload-', import.meta.url)));
  address = write('.env', `APP_DATABASE_URL=${database.url}\n`);
});
afterAll(async () => {
  fs.rmSync(folder, { recursive: true });
  await database[Symbol.asyncDispose]();
});
beforeEach(() => database.query('delete from effect'));

function write(name: string, text: string): string {
  const file = path.join(folder, name);
  fs.writeFileSync(file, text);
  return file;
}

const drain = (args: readonly string[], environment?: Record<string, string>): Promise<Ended> =>
  pgpubsub(['listen', APP, '--drain', ...args], environment);

const handled = async () => (await database.effects('post')).map(({ n }) => n);

describe('pgpubsub listen without the preparations of main.ts', () => {
  it('shows the error of the application file and suggests the options', async () => {
    const ended = await drain([]);

    expect(ended).toMatchObject({ code: 2, stdout: '' });
    expect(ended.stderr).toMatch(
      /^pgpubsub: could not load \S+: APP_DATABASE_URL is not set \(file:\S+app\.module\.js:\d+:\d+\)\. /,
    );
    expect(ended.stderr).toContain(HINT);
  });

  it('shows the error that stops the start and suggests the options', async () => {
    const ended = await drain(['--env-file', address]);
    const sentence = ended.stderr.trim().split('\n').at(-1);

    expect(ended.code).toBe(1);
    expect(sentence).toMatch(
      /^pgpubsub: could not start \S+: No storage driver defined in your app .+ The log has the stack\. /,
    );
    expect(sentence).toContain(HINT);
  });

  it('suggests the options while the application still tries to connect', async () => {
    const unreachable = write('.env.unreachable', 'APP_DATABASE_URL=postgres://127.0.0.1:1/none\n');
    const args = ['--env-file', unreachable, '--import', TRANSACTIONAL];
    await using command = ListenCommand.run(database.url, APP, ...args);
    await command.says('has not started within 5 s');
    command.signal('SIGTERM');

    expect(await command.exited()).toEqual({ code: 0, signal: null });
    expect(command.errors.all).toContain('Error: connect ECONNREFUSED 127.0.0.1:1');
    expect(command.output.all).toContainEqual(expect.stringContaining(HINT));
  });
});

describe('pgpubsub listen with the preparations of main.ts', () => {
  it.each([
    ['in this process', []],
    ['in supervised processes', ['--processes', '2']],
  ])('starts the application %s', async (_, args) => {
    await database.store('letters', [{ n: 1 }, { n: 2 }]);
    const ended = await drain(['--env-file', address, '--import', TRANSACTIONAL, ...args]);

    expect(ended).toMatchObject({ code: 0, stderr: '' });
    expect(new Set(await handled())).toEqual(new Set([1, 2]));
  });

  it('imports packages and files in the order of the options', async () => {
    const last = write('last.cjs', 'console.log(`last, with ${process.env.APP_NAME}`);');
    const args = ['--import', 'dotenv/config', '--import', TRANSACTIONAL, '--import', last];
    const files = ['one', 'two'].flatMap((name) => [
      '--env-file',
      write(`.env.${name}`, `APP_NAME=${name}\n`),
    ]);
    const ended = await drain([...args, ...files], { DOTENV_CONFIG_PATH: address });

    expect(ended).toMatchObject({ code: 0, stderr: '' });
    expect(ended.stdout).toMatch(/^last, with two$/m);
  });

  it('imports files before TypeORM and pg are loaded, so that both can be instrumented', async () => {
    const first = write(
      'first.cjs',
      String.raw`const loaded = Object.keys(require.cache).filter((file) => /node_modules.(pg|typeorm)\b/.test(file));
      console.log('loaded before:', loaded.length, 'of', Object.keys(require.cache).length > 0);`,
    );
    const ended = await drain(['--env-file', address, '--import', first, '--import', TRANSACTIONAL]);

    expect(ended).toMatchObject({ code: 0, stderr: '' });
    expect(ended.stdout).toMatch(/^loaded before: 0 of true$/m);
  });
});

it.each([
  [
    ['--import', './no-such-file.js'],
    /^pgpubsub: could not load \.\/no-such-file\.js of --import: Cannot find module/,
  ],
  [
    ['--import', 'no-such-package'],
    /^pgpubsub: could not load no-such-package of --import: Cannot find package/,
  ],
])('pgpubsub listen rejects %j as wrong usage', async (args, sentence) => {
  const ended = await drain(args);

  expect(ended).toMatchObject({ code: 2, stdout: '' });
  expect(ended.stderr).toMatch(sentence);
});

it('the application of the guide runs as a worker of its own', async () => {
  await database.store('letters', [{ n: 3 }]);
  const worker = spawn(process.execPath, [fromApp('worker.js')], {
    env: { PATH: process.env['PATH'], DOTENV_CONFIG_PATH: address },
    stdio: 'ignore',
  });
  const ended = once(worker, 'exit');
  try {
    await eventually(async () => (await handled()).includes(3), 'it has handled what is stored');
    worker.kill('SIGTERM');

    expect(await ended).toEqual([null, 'SIGTERM']); // Nest ends with the signal, after the hooks
  } finally {
    worker.kill('SIGKILL');
  }
});
