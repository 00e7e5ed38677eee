import { describe, expect, it } from 'vitest';
import { useDoctor } from './cli-doctor.fixture.js';

const doctor = useDoctor();

describe('pgpubsub doctor on stored notifications', () => {
  it('reports a backlog that is not claimed in time as bad', async () => {
    await doctor.database.store('tasks', [{ n: 1 }]);
    expect((await doctor.diagnose()).complaints).toEqual([]);
    const { code, complaints } = await doctor.diagnose('--max-backlog-age', '0');
    expect(code).toBe(1);
    expect(complaints).toMatchObject([{ check: 'backlog', severity: 'bad' }]);
    expect(complaints[0]?.found).toContain('Channel "tasks": 1 due notification unclaimed for ');
  });

  it('warns about a dead letter', async () => {
    await doctor.database.query(
      "insert into pgpubsub_dead_letter (id, channel, payload, listener) values (1, 'tasks', '{}', 'A.a')",
    );
    const { code, complaints } = await doctor.diagnose();
    expect(code).toBe(0);
    expect(complaints).toMatchObject([{ check: 'dead letters', severity: 'warning' }]);
    expect(complaints[0]?.found).toContain('"tasks" has 1 dead letter.');
  });

  it('warns about 100,000 dead letters in another finding', async () => {
    const insertDeadLetters = (count: number) =>
      doctor.database.query(
        "insert into pgpubsub_dead_letter (id, channel, listener) select n, 'tasks', 'A.a' from generate_series(1, $1::int) as n",
        [count],
      );
    await insertDeadLetters(99_999);
    expect((await doctor.diagnose()).about('dead letters')).toHaveLength(1);
    await insertDeadLetters(1);
    const [first] = (await doctor.diagnose()).about('dead letters');
    expect(first).toMatchObject({ severity: 'warning', found: 'There are 100,000 or more dead letters.' });
    expect(first?.remedy).toContain('deadLetters: { keepMs }');
    expect(first?.remedy).toContain('pgpubsub dead-letters discard');
  });

  it('reports notifications for a listener that no process has as bad', async () => {
    await doctor.database.store('tasks', [{ n: 1 }, { n: 2 }]);
    await doctor.database.query(
      `update pgpubsub_notification set listeners = '{Gone.a}' where payload ->> 'n' = '1'`,
    );
    expect((await doctor.diagnose()).complaints).toEqual([]); // no process is known

    await doctor.database.query(
      `insert into pgpubsub_process (instance, listeners) values ('one', '{"tasks":["A.a"],"other":["Gone.a"]}')`,
    );
    const { code, complaints } = await doctor.diagnose();

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
    await doctor.database.store('tasks', [{ n: 1 }]);
    await doctor.database.query(
      `insert into pgpubsub_process (instance, listeners) values ('one', '{"other":["A.a"]}')`,
    );

    const { code, complaints } = await doctor.diagnose();

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
    const client = await doctor.database.client();
    await client.query('begin; lock table pgpubsub_notification');
    const { complaints, findings } = await doctor.diagnose();
    const { stdout } = await doctor.print();
    const late = 'could not be examined: canceling statement due to lock timeout';
    // PostgreSQL 17 and newer also lock a table to read its defaults
    const others = complaints.filter(({ check }) => check !== 'triggers');
    expect(others.map(({ check }) => check)).toEqual(['backlog', 'dead letters']);
    expect(complaints.every(({ found }) => found === late)).toBe(true);
    expect(findings.at(-1)).toMatchObject({ check: 'privileges', severity: 'good' });
    for (const check of ['backlog', 'dead letters'])
      expect(stdout).toContain(`\nwarning: ${check}\n  ${late}\n  Meaning:`);
  });
});
