import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { startPostgres, type Server } from '../../tools/embedded-postgres.js';
import { STORED_DATA_SOURCE, pgpubsub } from '../support/command.js';
import { Diagnosis, sqlIn } from '../support/doctor.js';
import { StoredDatabase } from '../support/stored-worker.js';

// a server of its own, because doctor also reports the effects of other tests
let server: Server;
beforeAll(async () => {
  server = await startPostgres({ settings: ['max_prepared_transactions=2', 'autovacuum_naptime=3600'] });
});
afterAll(() => server.stop());

let database: StoredDatabase;
beforeEach(async () => {
  database = await StoredDatabase.create(server.url);
});
afterEach(() => database[Symbol.asyncDispose]());

const diagnose = (...options: string[]) => Diagnosis.of(database.url, ...options);

/** Runs the statements in the remedy of the only complaint. */
async function applyRemedy({ complaints }: Diagnosis): Promise<void> {
  expect(complaints).toHaveLength(1);
  const statements = sqlIn(complaints[0]?.remedy);
  expect(statements).not.toEqual([]);
  for (const statement of statements) await database.query(statement);
}

it('pgpubsub doctor reports no problems for a healthy database', async () => {
  const { code, findings } = await diagnose();
  expect(findings.filter(({ severity }) => severity !== 'good')).toEqual([]);
  expect(code).toBe(0);
  expect([...new Set(findings.map(({ check }) => check))]).toEqual([
    'primary',
    'listen',
    'pooler',
    'triggers',
    'notification queue',
    'commit lock',
    'transactions',
    'vacuum',
    'backlog',
    'listeners',
    'dead letters',
    'secrets',
    'privileges',
  ]);
  const { stdout } = await pgpubsub(['doctor', '-d', STORED_DATA_SOURCE], { DATABASE_URL: database.url });
  expect(stdout).toMatch(/listen +│ good +│ What is sent/);
  expect(stdout).toMatch(/All is good\.\n$/);
});

it('pgpubsub doctor prints each finding with its meaning and its remedy', async () => {
  await database.query('drop table pgpubsub_dead_letter');
  const ended = await pgpubsub(['doctor', '-d', STORED_DATA_SOURCE], { DATABASE_URL: database.url });
  expect(ended.code).toBe(1);
  expect(ended.stdout).toMatch(/triggers +│ bad +│ missing: table public\.pgpubsub_dead_letter/);
  expect(ended.stdout).toMatch(
    /\nbad: triggers\n {2}missing: table public\.pgpubsub_dead_letter\n {2}What it means: .+\n {2}What to do: +Undo what was changed by hand .+/,
  );
});

describe('pgpubsub doctor on transactions', () => {
  const HOLDING = 'begin isolation level repeatable read; select 1';

  async function open(statements: string): Promise<number> {
    const client = await database.client();
    await client.query("set application_name = 'report'");
    const { rows } = await client.query<{ pid: number }>('select pg_backend_pid() as pid');
    await client.query(statements);
    return rows[0]?.pid ?? 0;
  }

  it('names a transaction that holds back vacuum and the statement that ends it', async () => {
    const pid = await open(HOLDING);
    const limit = ['--max-transaction-age', '0.05'];
    const diagnosis = await Diagnosis.until(({ code }) => code === 1, database.url, ...limit);
    expect(diagnosis.complaints).toEqual([
      {
        check: 'transactions',
        severity: 'bad',
        found: expect.stringMatching(
          new RegExp(`pid ${pid} \\(report\\) .+ state "idle in transaction": begin isolation`),
        ) as unknown,
        means: expect.stringMatching(
          /^Vacuum cannot remove .+ grow, and claims get somewhat slower\./,
        ) as unknown,
        remedy: expect.stringContaining(`pg_terminate_backend(${pid})`) as unknown,
      },
    ]);
    await applyRemedy(diagnosis);
    expect((await diagnose(...limit)).code).toBe(0);
  });

  it('warns about an open transaction that does not hold back vacuum yet', async () => {
    const pid = await open('begin');
    const diagnosis = await Diagnosis.until(
      ({ complaints }) => complaints.length > 0,
      database.url,
      '--max-transaction-age',
      '0.1',
    );
    expect(diagnosis.code).toBe(0);
    expect(diagnosis.complaints).toMatchObject([{ check: 'transactions', severity: 'warning' }]);
    expect(diagnosis.complaints[0]?.found).toContain(`pid ${pid} `);
  });

  it('finds the transaction that holds back vacuum among older ones that do not', async () => {
    for (let n = 0; n < 5; n++) await open('begin');
    const pid = await open(HOLDING);
    const limit = ['--max-transaction-age', '0.05'];
    const diagnosis = await Diagnosis.until(({ code }) => code === 1, database.url, ...limit);
    expect(diagnosis.complaints[0]).toMatchObject({ check: 'transactions', severity: 'bad' });
    expect(diagnosis.complaints[0]?.found).toContain(`pid ${pid} `);
  });

  it('hides statements about passwords', async () => {
    const pid = await open("begin; select 'password of nobody: geheim'");
    const diagnosis = await Diagnosis.until(
      ({ complaints }) => complaints.length > 0,
      database.url,
      '--max-transaction-age',
      '0.1',
    );
    expect(diagnosis.complaints[0]?.found).toMatch(new RegExp(`pid ${pid} .+\\(about a password\\)$`));
  });

  it('ignores young transactions', async () => {
    await open(HOLDING);
    expect((await diagnose()).complaints).toEqual([]);
  });

  it('reports a young transaction that keeps many dead notifications as bad', async () => {
    const pid = await open(HOLDING);
    await database.query(
      "insert into pgpubsub_notification (channel, payload) select 'tasks', '{}' from generate_series(1, 6000)",
    );
    await database.query('delete from pgpubsub_notification');
    const diagnosis = await Diagnosis.until(({ code }) => code === 1, database.url);
    expect(diagnosis.complaints).toMatchObject([{ check: 'transactions', severity: 'bad' }]);
    expect(diagnosis.complaints[0]?.found).toContain(`pid ${pid} `);
    expect(diagnosis.complaints[0]?.means).toContain('6000 dead notifications');
  });

  it('names a forgotten prepared transaction', async () => {
    await open("begin; create table made_by_it (); prepare transaction 'forgotten'");
    const limit = ['--max-transaction-age', '0.05'];
    const diagnosis = await Diagnosis.until(({ code }) => code === 1, database.url, ...limit);
    expect(diagnosis.complaints).toMatchObject([{ check: 'transactions', severity: 'bad' }]);
    expect(diagnosis.complaints[0]?.found).toContain('"forgotten" of postgres');
    await applyRemedy(diagnosis);
    expect(await database.query('select gid from pg_prepared_xacts')).toEqual([]);
  });
});

describe('pgpubsub doctor on triggers', () => {
  it('names a disabled trigger and the statement that enables it', async () => {
    await database.query('alter table author disable trigger _pgpubsub_author_insert');
    const diagnosis = await diagnose();
    expect(diagnosis.code).toBe(1);
    expect(diagnosis.complaints).toMatchObject([
      {
        check: 'triggers',
        severity: 'bad',
        found: expect.stringMatching(/^disabled: trigger _pgpubsub_author_\w+ on public\.author$/) as unknown,
        remedy: expect.stringMatching(
          /^alter table "public"\."author" enable trigger "_pgpubsub_author_\w+";$/,
        ) as unknown,
      },
    ]);
    await applyRemedy(diagnosis);
    expect((await diagnose()).complaints).toEqual([]);
  });

  it('warns about changes that the triggers miss', async () => {
    await database.query('create table child () inherits (author)');
    const { code, complaints } = await diagnose();
    expect(code).toBe(0);
    expect(complaints).toEqual([
      {
        check: 'triggers',
        severity: 'warning',
        found: expect.stringMatching(
          /^Changes of the table public\.child, .+ Declare it, too: with.+\.$/,
        ) as unknown,
        means: expect.stringMatching(/^The triggers are as declared, but listeners miss changes/) as unknown,
        remedy: 'See the end of each sentence above.',
      },
    ]);
  });

  it('names a trigger function that was changed by hand', async () => {
    const [row] = await database.query<{ name: string }>(
      "select tgfoid::regproc::text as name from pg_trigger where tgrelid = 'author'::regclass and not tgisinternal limit 1",
    );
    const body = 'begin return null; end';
    await database.query(
      `create or replace function ${row?.name}() returns trigger language plpgsql as '${body}'`,
    );
    const { code, complaints } = await diagnose();
    expect(code).toBe(1);
    expect(complaints).toMatchObject([
      {
        check: 'triggers',
        severity: 'bad',
        found: expect.stringMatching(/^drifted: function public\.pgpubsub_(broadcast|store)$/) as unknown,
        means: expect.stringContaining('changed by hand') as unknown,
      },
    ]);
  });

  it.each(['pgpubsub.disabled = on', 'session_replication_role = replica'])(
    'names a setting that turns triggers off: %s',
    async (setting) => {
      const [row] = await database.query<{ name: string }>('select current_database() as name');
      await database.query(`alter database ${row?.name} set ${setting}`);
      const diagnosis = await diagnose();
      expect(diagnosis.code).toBe(1);
      expect(diagnosis.complaints).toMatchObject([
        { check: 'triggers', severity: 'bad', found: expect.stringContaining(setting) as unknown },
      ]);
      await applyRemedy(diagnosis);
      expect((await diagnose()).complaints).toEqual([]);
    },
  );
});

describe('pgpubsub doctor on stored notifications', () => {
  it('reports a backlog that is not claimed in time as bad', async () => {
    await database.store('tasks', [{ n: 1 }]);
    expect((await diagnose()).complaints).toEqual([]);
    const { code, complaints } = await diagnose('--max-backlog-age', '0');
    expect(code).toBe(1);
    expect(complaints).toMatchObject([{ check: 'backlog', severity: 'bad' }]);
    expect(complaints[0]?.found).toContain('Channel "tasks": 1 notification due, the first for ');
  });

  it('warns about a dead letter', async () => {
    await database.query(
      "insert into pgpubsub_dead_letter (id, channel, payload, listener) values (1, 'tasks', '{}', 'A.a')",
    );
    const { code, complaints } = await diagnose();
    expect(code).toBe(0);
    expect(complaints).toMatchObject([{ check: 'dead letters', severity: 'warning' }]);
    expect(complaints[0]?.found).toContain('"tasks" has 1 dead letter.');
  });

  it('warns about 100,000 dead letters in another finding', async () => {
    const insertDeadLetters = (count: number) =>
      database.query(
        "insert into pgpubsub_dead_letter (id, channel, listener) select n, 'tasks', 'A.a' from generate_series(1, $1::int) as n",
        [count],
      );
    await insertDeadLetters(99_999);
    expect((await diagnose()).about('dead letters')).toHaveLength(1);
    await insertDeadLetters(1);
    const [first] = (await diagnose()).about('dead letters');
    expect(first).toMatchObject({ severity: 'warning', found: 'There are 100,000 or more dead letters.' });
    expect(first?.remedy).toContain('deadLetters: { keepMs }');
    expect(first?.remedy).toContain('pgpubsub dead-letters discard');
  });

  it('reports notifications for a listener that no process has as bad', async () => {
    await database.store('tasks', [{ n: 1 }, { n: 2 }]);
    await database.query(
      `update pgpubsub_notification set listeners = '{Gone.a}' where payload ->> 'n' = '1'`,
    );
    expect((await diagnose()).complaints).toEqual([]); // no process is known

    await database.query(
      `insert into pgpubsub_process (instance, listeners) values ('one', '{"tasks":["A.a"],"other":["Gone.a"]}')`,
    );
    const { code, complaints } = await diagnose();

    expect(code).toBe(1);
    expect(complaints).toMatchObject([
      {
        check: 'listeners',
        severity: 'bad',
        found: 'Channel "tasks": 1 notification for the listener Gone.a, which no running process has.',
      },
    ]);
  });

  it('warns when no process has a listener of the channel', async () => {
    await database.store('tasks', [{ n: 1 }]);
    await database.query(
      `insert into pgpubsub_process (instance, listeners) values ('one', '{"other":["A.a"]}')`,
    );

    const { code, complaints } = await diagnose();

    expect(code).toBe(0);
    expect(complaints).toMatchObject([
      {
        check: 'listeners',
        severity: 'warning',
        found: 'Channel "tasks": 1 notification, and no running process has a listener of the channel.',
      },
    ]);
  });

  it('examines the rest while its tables are locked', async () => {
    const client = await database.client();
    await client.query('begin; lock table pgpubsub_notification');
    const { complaints, findings } = await diagnose();
    const { stdout } = await pgpubsub(['doctor', '-d', STORED_DATA_SOURCE], { DATABASE_URL: database.url });
    const late = 'could not be examined: canceling statement due to lock timeout';
    // PostgreSQL 17 and newer also lock a table to read its defaults
    const others = complaints.filter(({ check }) => check !== 'triggers');
    expect(others.map(({ check }) => check)).toEqual(['backlog', 'dead letters']);
    expect(complaints.every(({ found }) => found === late)).toBe(true);
    expect(findings.at(-1)).toMatchObject({ check: 'privileges', severity: 'good' });
    for (const check of ['backlog', 'dead letters'])
      expect(stdout).toContain(`\nwarning: ${check}\n  ${late}\n  What it means:`);
  });
});

describe('pgpubsub doctor on vacuum', () => {
  it('warns when vacuum does not keep up with dead rows', async () => {
    await database.query(
      "insert into pgpubsub_notification (channel, payload) select 'tasks', '{}' from generate_series(1, 25000)",
    );
    await database.query('delete from pgpubsub_notification');
    const diagnosis = await Diagnosis.until(({ complaints }) => complaints.length > 0, database.url);
    expect(diagnosis.complaints).toMatchObject([{ check: 'vacuum', severity: 'warning' }]);
    expect(diagnosis.complaints[0]?.found).toContain('pgpubsub_notification has 25000 dead rows');
    await applyRemedy(diagnosis);
  });

  it('reports a table whose autovacuum is switched off', async () => {
    await database.query('alter table pgpubsub_dead_letter set (autovacuum_enabled = off)');
    const { code, complaints } = await diagnose();
    expect(code).toBe(1);
    const complaint = complaints.find(({ check }) => check === 'vacuum');
    expect(complaint).toMatchObject({
      severity: 'bad',
      found: expect.stringContaining('autovacuum is switched off') as unknown,
    });
    for (const statement of sqlIn(complaint?.remedy)) await database.query(statement);
    expect((await diagnose()).complaints.filter(({ check }) => check === 'vacuum')).toEqual([]);
  });
});

it('pgpubsub doctor names missing privileges of a role to report its listeners and the statements that grant them', async () => {
  await database.query(
    `do $$ begin create role worker login; exception when duplicate_object then null; end $$`,
  );
  await database.query('grant select, insert, update, delete on pgpubsub_notification to worker');
  await database.query('grant select on pgpubsub_process, pgpubsub_dead_letter to worker');
  const url = new URL(database.url);
  url.username = 'worker';
  const [finding] = (await Diagnosis.of(url.href)).about('listeners');
  expect(finding).toMatchObject({
    severity: 'warning',
    found: 'The role "worker" may not insert, update, delete on "public"."pgpubsub_process".',
  });
  for (const statement of sqlIn(finding?.remedy)) await database.query(statement);
  expect((await Diagnosis.of(url.href)).about('listeners')).toMatchObject([{ severity: 'good' }]);
});

it('pgpubsub doctor names the checks that its role may not run, and runs the others', async () => {
  await database.client();
  await database.query(
    `do $$ begin create role reader login; exception when duplicate_object then null; end $$`,
  );
  const url = new URL(database.url);
  url.username = 'reader';
  const { complaints } = await Diagnosis.of(url.href);
  expect(complaints.map(({ check }) => check)).toEqual(['backlog', 'dead letters', 'privileges']);
  expect(complaints[0]?.found).toContain('permission denied');
  const [grant = ''] = sqlIn(complaints[2]?.remedy);
  await database.query(grant);
  try {
    expect((await Diagnosis.of(url.href)).about('privileges')).toMatchObject([{ severity: 'good' }]);
  } finally {
    await database.query('revoke pg_monitor from reader');
  }
});
