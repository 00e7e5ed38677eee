import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { STORED_DATA_SOURCE, pgpubsub } from '../support/command.js';
import { Diagnosis } from '../support/doctor.js';
import { PgBouncer } from '../support/pg-bouncer.js';
import { StoredDatabase } from '../support/stored-worker.js';

let database: StoredDatabase;
beforeAll(async () => {
  database = await StoredDatabase.create();
});
afterAll(() => database[Symbol.asyncDispose]());

const about = async (check: string, url: string, ...options: string[]) => {
  const diagnosis = await Diagnosis.of(url, ...options);
  const [finding, ...more] = diagnosis.about(check);
  expect(more).toEqual([]);
  return { code: diagnosis.code, ...finding };
};
const aboutListen = (url: string, ...options: string[]) => about('listen', url, ...options);

describe.skipIf(!PgBouncer.isInstalled)(
  'pgpubsub doctor behind PgBouncer in transaction mode (where it is installed)',
  () => {
    let pooler: PgBouncer;
    beforeAll(async () => {
      pooler = await PgBouncer.start(database.url, 2);
    });
    afterAll(() => pooler[Symbol.asyncDispose]());

    it('reports that a transaction pooler drops LISTEN', async () => {
      expect(await aboutListen(pooler.url)).toMatchObject({
        code: 1,
        severity: 'bad',
        found: expect.stringContaining('transaction pooler (such as PgBouncer)') as unknown,
        remedy: expect.stringContaining('the option "connection"') as unknown,
      });
    });

    it('names the settings of the pooler that detect vanished machines', async () => {
      expect(await about('pooler', pooler.url)).toMatchObject({
        severity: 'good',
        found: expect.stringContaining('tcp_user_timeout and tcp_keepalive of PgBouncer') as unknown,
      });
    });

    it('reports no problem when the LISTEN connection bypasses the pooler', async () => {
      expect(await aboutListen(pooler.url, '--listen-url', database.url)).toMatchObject({ severity: 'good' });
    });
  },
);

it('pgpubsub doctor reports that the LISTEN connection cannot be opened', async () => {
  const url = new URL(database.url);
  url.port = '1';
  expect(await aboutListen(database.url, '--listen-url', url.href)).toMatchObject({
    code: 1,
    severity: 'bad',
    found: expect.stringContaining('ECONNREFUSED') as unknown,
  });
});

it('pgpubsub doctor reports that the LISTEN connection is in another database', async () => {
  const url = new URL(database.url);
  url.pathname = '/postgres';
  expect(await aboutListen(database.url, '--listen-url', url.href)).toMatchObject({
    code: 1,
    severity: 'bad',
    found: expect.stringContaining('in the database "postgres"') as unknown,
  });
});

const SEVERAL =
  'one with several hosts, while pg connects to only one: name the primary, or an address that always leads to it';

it.each([
  ['', '""'],
  ['user:secret@db/news', 'something else (not shown, as it may hold a password)'],
  ['mysql://user:secret@db/news', 'one with mysql://'],
  ['postgres://user:secret@a:5432,b:5432/news', SEVERAL],
])('pgpubsub doctor rejects "%s" for the LISTEN connection before it connects', async (url, got) => {
  const unreachable = { DATABASE_URL: 'postgres://127.0.0.1:1/none' };
  const args = ['doctor', '-d', STORED_DATA_SOURCE];
  const refusal = (source: string) => ({
    code: 2,
    stdout: '',
    stderr: `pgpubsub: expected ${source} to be a URL with postgres:// or postgresql://, or the path of a socket, got ${got}.\n`,
  });

  expect(await pgpubsub([...args, '--listen-url', url], unreachable)).toEqual(refusal('--listen-url'));
  expect(await pgpubsub(args, { ...unreachable, PGPUBSUB_LISTEN_URL: url })).toEqual(
    refusal('the environment variable PGPUBSUB_LISTEN_URL'),
  );
});

it('pgpubsub doctor reads the URL of the LISTEN connection from the environment and hides its password', async () => {
  const url = new URL(database.url);
  url.port = '1';
  url.password = 'hunter2';
  const args = ['doctor', '-d', STORED_DATA_SOURCE];
  const ended = await pgpubsub(args, { DATABASE_URL: database.url, PGPUBSUB_LISTEN_URL: url.href });

  expect(ended).toMatchObject({ code: 1, stdout: expect.stringContaining('ECONNREFUSED') as unknown });
  expect(ended.stdout + ended.stderr).not.toContain('hunter2');
});
