import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { ListenCommand, SAMPLE_APP, listenApp } from '../support/listen-command.js';
import { StoredDatabase } from '../support/stored-worker.js';

let database: StoredDatabase;
beforeAll(async () => {
  database = await StoredDatabase.create();
});
afterAll(() => database[Symbol.asyncDispose]());

const APP = listenApp('app.module.js');
const UNREACHABLE = 'postgres://nobody@127.0.0.1:1/nothing';
const MISSING = `${APP}.missing`;

interface Ended {
  readonly code: number | null;
  readonly errors: readonly string[];
  readonly output: readonly string[];
}

async function run(url: string, ...args: string[]): Promise<Ended> {
  await using command = ListenCommand.run(url, ...args);
  const { code } = await command.exited();
  return { code, errors: command.errors.all, output: command.output.all };
}

describe('pgpubsub listen', () => {
  it.each([
    ['a missing file', [MISSING], `Nest module: Cannot find module '${MISSING}'. Build the application`],
    ['a file that throws', [listenApp('throwing.js')], 'throwing.js: it does not load (file://'],
    [
      'a file without a Nest module',
      [listenApp('../stored/messages.js')],
      'got none. Name the file of the module that main.ts gives',
    ],
    ['an export that is not a Nest module', [`${APP}#Tasks`], 'It exports these: AppModule, '],
    ['several Nest modules', [listenApp('several.js')], 'It exports these: FirstModule, SecondModule'],
    ['a promise of a module', [`${listenApp('several.js')}#PromisedModule`], 'to have a listener, got none.'],
    ['an application without a listener', [`${APP}#SilentModule`], 'to have a listener, got none.'],
    ['a CommonJS application without a listener', [listenApp('common.cjs')], 'to have a listener, got none.'],
    ['an application without the library', [`${APP}#BareModule`], 'Import PgPubSubModule'],
  ])('exits with 2 and one sentence for %s', async (_, args, sentence) => {
    const { code, errors } = await run(database.url, ...args);

    expect(errors).toEqual([expect.stringContaining(sentence)]);
    expect(errors[0]).toMatch(/^pgpubsub: /);
    expect(code).toBe(2);
  });

  it.each([
    [['--worker', '--processes', '2'], "'--worker' cannot be used with option '--processes <number>'"],
    [['--drain', '--recover'], "'--drain' cannot be used with option '--recover'"],
    [['--processes', '0'], 'Expected a whole number from 1 to 9999.'],
    [['--log-level', 'loud'], 'Allowed choices are verbose, debug, log, warn, error, fatal'],
    [['--log-format', 'xml'], 'Allowed choices are text, json'],
  ])('exits with 2 and one sentence for the options %j', async (args, sentence) => {
    const { code, errors } = await run(database.url, APP, ...args);

    expect(errors[0]).toContain(sentence);
    expect(code).toBe(2);
  });

  it('reports wrong usage once for several processes, and starts only one', async () => {
    const { code, errors, output } = await run(database.url, `${APP}#SilentModule`, '--processes', '3');

    expect(errors).toEqual([expect.stringContaining('to have a listener, got none.')]);
    expect(code).toBe(2);
    expect(output.filter((line) => line.includes('Started process'))).toHaveLength(1);
  });
});

describe('pgpubsub listen with an application that does not start', () => {
  const sentence = (reason: string) =>
    expect.stringMatching(
      RegExp(`^pgpubsub: could not start \\S+: ${reason}\\. The log has the stack\\. `),
    ) as unknown;

  it.each([[[]], [['--processes', '2']], [['--drain']]])(
    'exits with 1 and reports an unreachable database in one sentence: %j',
    async (args) => {
      const { code, errors } = await run(UNREACHABLE, APP, ...args);

      expect(errors.at(-1)).toEqual(sentence('connect ECONNREFUSED 127\\.0\\.0\\.1:1'));
      expect(errors.filter((line) => line.startsWith('pgpubsub: '))).toHaveLength(1);
      expect(code).toBe(1);
    },
  );

  it('writes the sentence as JSON when the log format is JSON', async () => {
    const { code, errors } = await run(UNREACHABLE, APP, '--log-format', 'json');

    expect(errors.map((line) => JSON.parse(line) as unknown).at(-1)).toEqual(
      expect.objectContaining({
        level: 'fatal',
        message: expect.stringContaining('ECONNREFUSED') as unknown,
      }),
    );
    expect(code).toBe(1);
  });

  it.each([
    [
      'a database that does not exist',
      () => database.url.replace(/[^/]+$/, 'nothing'),
      'database "nothing" does not exist',
    ],
    ['a server without TLS', () => `${database.url}?ssl=true`, 'The server does not support SSL connections'],
    ['an invalid URL', () => UNREACHABLE.replace(':1/', ':one/'), 'Invalid URL'],
    ['a password that is not encoded', () => UNREACHABLE.replace('@', ':50%@'), 'URI malformed'],
  ])('exits with 1 and reports %s in one sentence', async (_, url, reason) => {
    const { code, errors } = await run(url(), APP);

    expect(errors.at(-1)).toEqual(sentence(reason));
    expect(code).toBe(1);
  });

  it('exits with 1 and prints the error of the library without a stack', async () => {
    await using empty = await StoredDatabase.create();
    await empty.query('drop table pgpubsub_notification');
    const { code, errors } = await run(empty.url, APP);

    expect(errors).toEqual([expect.stringMatching(/^pgpubsub: expected .*pgpubsub_notification/)]);
    expect(code).toBe(1);
  });

  it.each([
    ['a provider', 'MistakenModule'],
    ['a lifecycle hook', 'StumblingModule'],
  ])('logs the stack of an error in %s once', async (_, module) => {
    const { code, errors } = await run(database.url, `${APP}#${module}`);

    expect(errors.filter((line) => line.endsWith('TypeError: a mistake of its own'))).toHaveLength(1);
    expect(errors[1]).toMatch(/^ +at .*app\.module\.js/);
    expect(errors.at(-1)).toEqual(sentence('a mistake of its own'));
    expect(code).toBe(1);
  });
});

it('pgpubsub listen exits with 0 on SIGTERM while the application waits for its database', async () => {
  await using command = ListenCommand.run(UNREACHABLE, SAMPLE_APP);
  await command.errors.find((line) => line.includes('Unable to connect to the database. Retrying (1)...'));
  command.signal('SIGTERM');

  expect(await command.exited()).toEqual({ code: 0, signal: null });
});

it('pgpubsub listen --log-format applies from the first line on', async () => {
  const { output } = await run(database.url, listenApp('throwing.js'), '--log-format', 'json');

  expect(output.map((line) => (JSON.parse(line) as { message: string }).message)).toEqual(['It loads']);
});

it('pgpubsub listen --log-level limits the log', async () => {
  const { code, output } = await run(database.url, APP, '--drain', '--log-level', 'warn');

  expect(output).toEqual([]);
  expect(code).toBe(0);
});

it('pgpubsub listen --worker runs in this process', async () => {
  const { code, output } = await run(database.url, APP, '--worker', '--drain');

  expect(output.filter((line) => line.includes('Started process'))).toEqual([]);
  expect(code).toBe(0);
});
