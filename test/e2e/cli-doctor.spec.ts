import { describe, expect, it } from 'vitest';
import { Diagnosis, sqlIn } from '../support/doctor.js';
import { useDoctor } from './cli-doctor.fixture.js';

const doctor = useDoctor();

it('pgpubsub doctor reports no problems for a healthy database', async () => {
  const { code, findings } = await doctor.diagnose();
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
  const { stdout } = await doctor.print();
  expect(stdout).toMatch(/listen +│ good +│ A notification sent/);
  expect(stdout).toMatch(/No problems found\.\n$/);
});

it('pgpubsub doctor prints each finding with its meaning and its remedy', async () => {
  await doctor.database.query('drop table pgpubsub_dead_letter');
  const ended = await doctor.print();
  expect(ended.code).toBe(1);
  expect(ended.stdout).toMatch(/triggers +│ bad +│ missing: table public\.pgpubsub_dead_letter/);
  expect(ended.stdout).toMatch(
    /\nbad: triggers\n {2}missing: table public\.pgpubsub_dead_letter\n {2}Meaning: .+\n {2}Remedy: +Undo what was changed by hand .+/,
  );
});

describe('pgpubsub doctor on triggers', () => {
  it('names a disabled trigger and the statement that enables it', async () => {
    await doctor.database.query('alter table author disable trigger _pgpubsub_author_insert');
    const diagnosis = await doctor.diagnose();
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
    await doctor.applyRemedy(diagnosis);
    expect((await doctor.diagnose()).complaints).toEqual([]);
  });

  it('warns about changes that the triggers miss', async () => {
    await doctor.database.query('create table child () inherits (author)');
    const { code, complaints } = await doctor.diagnose();
    expect(code).toBe(0);
    expect(complaints).toEqual([
      {
        check: 'triggers',
        severity: 'warning',
        found: expect.stringMatching(
          /^Changes of the table public\.child, .+ Declare it, too: with.+\.$/,
        ) as unknown,
        means: expect.stringMatching(/^The triggers are as declared, but listeners miss changes/) as unknown,
        remedy: 'Each message above ends with its remedy.',
      },
    ]);
  });

  it('names a trigger function that was changed by hand', async () => {
    const [row] = await doctor.database.query<{ name: string }>(
      "select tgfoid::regproc::text as name from pg_trigger where tgrelid = 'author'::regclass and not tgisinternal limit 1",
    );
    const body = 'begin return null; end';
    await doctor.database.query(
      `create or replace function ${row?.name}() returns trigger language plpgsql as '${body}'`,
    );
    const { code, complaints } = await doctor.diagnose();
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
      const [row] = await doctor.database.query<{ name: string }>('select current_database() as name');
      await doctor.database.query(`alter database ${row?.name} set ${setting}`);
      const diagnosis = await doctor.diagnose();
      expect(diagnosis.code).toBe(1);
      expect(diagnosis.complaints).toMatchObject([
        { check: 'triggers', severity: 'bad', found: expect.stringContaining(setting) as unknown },
      ]);
      await doctor.applyRemedy(diagnosis);
      expect((await doctor.diagnose()).complaints).toEqual([]);
    },
  );
});

it('pgpubsub doctor names missing privileges of a role to report its listeners and the statements that grant them', async () => {
  await doctor.database.query(
    `do $$ begin create role worker login; exception when duplicate_object then null; end $$`,
  );
  await doctor.database.query('grant select, insert, update, delete on pgpubsub_notification to worker');
  await doctor.database.query('grant select on pgpubsub_process, pgpubsub_dead_letter to worker');
  const url = new URL(doctor.database.url);
  url.username = 'worker';
  const [finding] = (await Diagnosis.of(url.href)).about('listeners');
  expect(finding).toMatchObject({
    severity: 'warning',
    found: 'The role "worker" may not insert, update, delete on "public"."pgpubsub_process".',
  });
  for (const statement of sqlIn(finding?.remedy)) await doctor.database.query(statement);
  expect((await Diagnosis.of(url.href)).about('listeners')).toMatchObject([{ severity: 'good' }]);
});

it('pgpubsub doctor names the checks that its role may not run, and runs the others', async () => {
  await doctor.database.client();
  await doctor.database.query(
    `do $$ begin create role reader login; exception when duplicate_object then null; end $$`,
  );
  const url = new URL(doctor.database.url);
  url.username = 'reader';
  const { complaints } = await Diagnosis.of(url.href);
  expect(complaints.map(({ check }) => check)).toEqual(['backlog', 'dead letters', 'privileges']);
  expect(complaints[0]?.found).toContain('permission denied');
  const [grant = ''] = sqlIn(complaints[2]?.remedy);
  await doctor.database.query(grant);
  try {
    expect((await Diagnosis.of(url.href)).about('privileges')).toMatchObject([{ severity: 'good' }]);
  } finally {
    await doctor.database.query('revoke pg_monitor from reader');
  }
});
