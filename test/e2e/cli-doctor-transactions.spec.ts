import { describe, expect, it } from 'vitest';
import { sqlIn } from '../support/doctor.js';
import { useDoctor } from './cli-doctor.fixture.js';

const doctor = useDoctor();

describe('pgpubsub doctor on transactions', () => {
  const HOLDING = 'begin isolation level repeatable read; select 1';

  async function open(statements: string): Promise<number> {
    const client = await doctor.database.client();
    await client.query("set application_name = 'report'");
    const { rows } = await client.query<{ pid: number }>('select pg_backend_pid() as pid');
    await client.query(statements);
    return rows[0]?.pid ?? 0;
  }

  it('names a transaction that holds back vacuum and the statement that ends it', async () => {
    const pid = await open(HOLDING);
    const limit = ['--max-transaction-age', '0.05'];
    const diagnosis = await doctor.diagnoseUntil(({ code }) => code === 1, ...limit);
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
    await doctor.applyRemedy(diagnosis);
    expect((await doctor.diagnose(...limit)).code).toBe(0);
  });

  it('warns about an open transaction that does not hold back vacuum yet', async () => {
    const pid = await open('begin');
    const diagnosis = await doctor.diagnoseUntil(
      ({ complaints }) => complaints.length > 0,
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
    const diagnosis = await doctor.diagnoseUntil(({ code }) => code === 1, ...limit);
    expect(diagnosis.complaints[0]).toMatchObject({ check: 'transactions', severity: 'bad' });
    expect(diagnosis.complaints[0]?.found).toContain(`pid ${pid} `);
  });

  it('hides statements about passwords', async () => {
    const pid = await open("begin; select 'password of nobody: geheim'");
    const diagnosis = await doctor.diagnoseUntil(
      ({ complaints }) => complaints.length > 0,
      '--max-transaction-age',
      '0.1',
    );
    expect(diagnosis.complaints[0]?.found).toMatch(new RegExp(`pid ${pid} .+\\(about a password\\)$`));
  });

  it('ignores young transactions', async () => {
    await open(HOLDING);
    expect((await doctor.diagnose()).complaints).toEqual([]);
  });

  it('reports a young transaction that keeps many dead notifications as bad', async () => {
    const pid = await open(HOLDING);
    await doctor.database.query(
      "insert into pgpubsub_notification (channel, payload) select 'tasks', '{}' from generate_series(1, 6000)",
    );
    await doctor.database.query('delete from pgpubsub_notification');
    const diagnosis = await doctor.diagnoseUntil(({ code }) => code === 1);
    expect(diagnosis.complaints).toMatchObject([{ check: 'transactions', severity: 'bad' }]);
    expect(diagnosis.complaints[0]?.found).toContain(`pid ${pid} `);
    expect(diagnosis.complaints[0]?.means).toContain('6000 dead notifications');
  });

  it('names a forgotten prepared transaction', async () => {
    await open("begin; create table made_by_it (); prepare transaction 'forgotten'");
    const limit = ['--max-transaction-age', '0.05'];
    const diagnosis = await doctor.diagnoseUntil(({ code }) => code === 1, ...limit);
    expect(diagnosis.complaints).toMatchObject([{ check: 'transactions', severity: 'bad' }]);
    expect(diagnosis.complaints[0]?.found).toContain('"forgotten" of postgres');
    await doctor.applyRemedy(diagnosis);
    expect(await doctor.database.query('select gid from pg_prepared_xacts')).toEqual([]);
  });
});

describe('pgpubsub doctor on vacuum', () => {
  it('warns when vacuum does not keep up with dead rows', async () => {
    await doctor.database.query(
      "insert into pgpubsub_notification (channel, payload) select 'tasks', '{}' from generate_series(1, 25000)",
    );
    await doctor.database.query('delete from pgpubsub_notification');
    const diagnosis = await doctor.diagnoseUntil(({ complaints }) => complaints.length > 0);
    expect(diagnosis.complaints).toMatchObject([{ check: 'vacuum', severity: 'warning' }]);
    expect(diagnosis.complaints[0]?.found).toContain('pgpubsub_notification has 25000 dead rows');
    await doctor.applyRemedy(diagnosis);
  });

  it('reports a table whose autovacuum is switched off', async () => {
    await doctor.database.query('alter table pgpubsub_dead_letter set (autovacuum_enabled = off)');
    const { code, complaints } = await doctor.diagnose();
    expect(code).toBe(1);
    const complaint = complaints.find(({ check }) => check === 'vacuum');
    expect(complaint).toMatchObject({
      severity: 'bad',
      found: expect.stringContaining('autovacuum is switched off') as unknown,
    });
    for (const statement of sqlIn(complaint?.remedy)) await doctor.database.query(statement);
    expect((await doctor.diagnose()).complaints.filter(({ check }) => check === 'vacuum')).toEqual([]);
  });
});
