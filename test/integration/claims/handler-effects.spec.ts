import pg from 'pg';
import { from as copyFrom } from 'pg-copy-streams';
import Cursor from 'pg-cursor';
import QueryStream from 'pg-query-stream';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { readText, sectionOf } from '../../support/documents.js';
import {
  Orders,
  clientOf,
  sql,
  useHandlerClaims,
  type State,
  type Work,
} from '../../support/handler-claim.js';
import { eventually } from '../../support/mailbox.js';

/**
 * Everything that a handler does to its transaction or session works and ends with the handler
 * (some of it with the claim), or is rejected with an error. The names of the cases are those of
 * the lists in docs/stored-notifications.md.
 */

const { runClaim, query, waiting, effects } = useHandlerClaims();

beforeAll(async () => {
  await query(`
    create role tenant_of_claims;
    create table bulk (n int);
    grant insert, select on bulk to tenant_of_claims;
    create function become_tenant() returns void language plpgsql as $$ begin perform set_config('role', 'tenant_of_claims', true); end $$;
    create function go_silent(is_local boolean) returns void language plpgsql as $$ begin perform set_config('pgpubsub.disabled', 'on', is_local); end $$;
    create function replicate() returns void language plpgsql as $$ begin set local session_replication_role = 'replica'; end $$;
    create procedure work_alone() language plpgsql as $$ begin perform set_config('search_path', 'pg_catalog', true); end $$;
    alter table effect add constraint effect_later check (what <> '');
    create table parent (id int primary key);
    create table child (parent int references parent deferrable initially immediate);
  `);
});
afterAll(async () => {
  await query('drop owned by tenant_of_claims; drop role tenant_of_claims');
});
afterEach(async () => {
  await query('truncate pgpubsub_notification, pgpubsub_dead_letter, effect, bulk');
});

/** The entries of the list "Rejected", with statements of a handler. */
const REJECTED: Record<string, Work[]> = {
  '`BEGIN`, `START TRANSACTION`, `COMMIT`, `END`, `ROLLBACK`, `ABORT`': [
    sql("begin; insert into effect (what) values ('sneaked in'); commit"),
    sql('/* a comment */ COMMIT -- and another'),
    sql("select 'a text; with a semicolon'; end"),
    sql('do $do$ begin null; end $do$; rollback'),
    sql('start transaction'),
    async (manager) => (await clientOf(manager)).query({ text: 'commit' }),
    async (manager) =>
      new Promise<unknown>((resolve, reject) => {
        void clientOf(manager).then((client) =>
          client.query('abort', (error: unknown) => (error ? reject(error) : resolve(undefined))),
        );
      }),
    async (manager) => {
      const cursor = (await clientOf(manager)).query(new Cursor('commit'));
      await cursor.read(1);
    },
  ],
  'two-phase commit (`PREPARE TRANSACTION`, `COMMIT PREPARED`)': [
    sql("prepare transaction 'x'"),
    sql("commit prepared 'x'"),
    sql("rollback prepared 'x'"),
  ],
  'savepoints whose name begins with `pgpubsub_`': [
    sql('savepoint pgpubsub_handler'),
    sql('release savepoint "pgpubsub_handler"'),
    sql('rollback to PGPUBSUB_handler'),
  ],
  '`SET TRANSACTION`, `SET SESSION CHARACTERISTICS`, the encoding of the client': [
    sql('set transaction read only'),
    sql('set local transaction_read_only = on'),
    sql('set session characteristics as transaction isolation level serializable'),
    sql("set client_encoding = 'LATIN1'"),
  ],
  '`LISTEN`, `UNLISTEN`': [sql('listen somewhere'), sql('unlisten *'), sql('select 1; listen "x"')],
  '`PREPARE`, `DEALLOCATE`, `DISCARD ALL`': [
    sql('prepare mine as select 1'),
    sql('deallocate all'),
    sql('discard all'),
  ],
  'advisory locks of the session (`pg_advisory_lock()`)': [
    sql('select pg_advisory_lock(1)'),
    sql('select pg_catalog.pg_try_advisory_lock(1)'),
    sql('select "pg_advisory_unlock_all"()'),
  ],
  'ending its own backend (`pg_terminate_backend(pg_backend_pid())`)': [
    sql('select pg_terminate_backend(pg_backend_pid())'),
    sql('select pg_cancel_backend(pg_backend_pid())'),
    sql('select 1; select pg_terminate_backend( pg_backend_pid() )'),
  ],
  'closing or changing the client (`client.end()`, `client.release()`)': [
    async (manager) => (await clientOf(manager)).release(),
    async (manager) => ((await clientOf(manager)) as unknown as pg.Client).end(),
    async (manager) => (await clientOf(manager)).setTypeParser(pg.types.builtins.INT8, Number),
  ],
};

interface Works {
  readonly works: Work[];
  /** Whether the effect ends with the handler or with the claim. */
  readonly endsWith: 'handler' | 'claim';
}

const ends = (endsWith: Works['endsWith'], ...works: Work[]): Works => ({ endsWith, works });

/** The entries of the other lists: they work. */
const WORKING: Record<string, Works> = {
  'the role, `session_authorization`, `session_replication_role`, `search_path`, `row_security`, `statement_timeout`, `lock_timeout`, `pgpubsub.*`':
    ends(
      'handler',
      sql('set local role tenant_of_claims'),
      sql('set role tenant_of_claims'),
      sql('set session authorization tenant_of_claims'),
      sql('set local session_replication_role = replica'),
      sql("set local pgpubsub.disabled = 'on'"),
      sql("select set_config('search_path', 'pg_catalog', true)"),
      sql("select set_config('search_path', 'pg_catalog', false)"),
      sql('set statement_timeout = 1'),
      sql('set local lock_timeout = 1; set local row_security = off'),
      sql('reset all; set local role tenant_of_claims'),
    ),
  'the same, set by a function, a procedure or a trigger': ends(
    'handler',
    sql('select become_tenant()'),
    sql('select go_silent(true)'),
    sql('select go_silent(false)'),
    sql('select replicate()'),
    sql('call work_alone()'),
    sql('do $$ begin set local role tenant_of_claims; end $$'),
  ),
  'other settings (`SET`, `SET LOCAL`, `RESET`, `set_config()`)': ends(
    'claim',
    sql("set local time zone 'Asia/Tokyo'"),
    sql("set time zone 'Asia/Tokyo'"),
    sql("select set_config('TimeZone', 'Asia/Tokyo', false)"),
  ),
  'nested transactions and savepoints': ends(
    'handler',
    sql('savepoint mine', 'select 1', 'rollback to mine', 'release mine'),
    (manager) => manager.transaction((nested) => nested.query('select 1')),
    (manager) => manager.transaction((nested) => nested.query('select 1 / 0')).catch(() => undefined),
  ),
  'temporary tables, views and sequences': ends(
    'handler',
    sql('create temp table staging (n int)'),
    sql('select 1 as n into temporary table staging'),
    sql('create temporary sequence numbers'),
  ),
  'cursors, also `WITH HOLD`': ends(
    'handler',
    sql('declare mine cursor for select 1'),
    sql('declare mine cursor with hold for select 1'),
    async (manager) => {
      const cursor = (await clientOf(manager)).query(new Cursor('select generate_series(1, 100)'));
      expect(await cursor.read(2)).toHaveLength(2); // leaves the cursor open
    },
  ),
  'streams and `COPY`': ends(
    'handler',
    async (manager) => {
      const rows: unknown[] = [];
      const stream = (await clientOf(manager)).query(new QueryStream('select generate_series(1, 300)'));
      for await (const row of stream) rows.push(row);
      expect(rows).toHaveLength(300);
    },
    async (manager) => {
      const copy = (await clientOf(manager)).query(copyFrom('copy bulk from stdin'));
      await new Promise<void>((resolve, reject) => {
        copy.on('finish', () => resolve()).on('error', reject);
        copy.end('1\n2\n');
      });
      expect(await manager.query('select n from bulk order by n')).toEqual([{ n: 1 }, { n: 2 }]);
    },
    async (manager) => {
      const stream = await manager.queryRunner?.stream('select generate_series(1, 10)');
      stream?.resume();
      await new Promise<void>((resolve) => stream?.once('end', () => resolve()));
    },
  ),
  '`SET CONSTRAINTS`': ends(
    'handler',
    sql('set constraints all deferred'),
    sql('set constraints all immediate'),
    sql('set constraints all deferred', 'insert into child values (1)', 'insert into parent values (1)', 'delete from child', 'delete from parent'), // prettier-ignore
  ),
  '`LOCK`, row locks and advisory locks of the transaction (`pg_advisory_xact_lock()`)': ends(
    'claim',
    sql('lock table bulk in share mode'),
    sql('select pg_advisory_xact_lock(1)'),
    sql('select from effect for update'),
  ),
  '`DO`, `CALL`, `NOTIFY`, `DISCARD PLANS`, `DISCARD TEMP`': ends(
    'handler',
    sql('do $$ begin null; end $$'),
    sql("notify somewhere, 'x'"),
    sql('discard plans'),
    sql('discard temp'),
  ),
  'statements that are not awaited': ends(
    'handler',
    (manager) => {
      void manager.query('select pg_sleep(0.05)');
      return Promise.resolve();
    },
    async (manager) => void (await clientOf(manager)).query('select pg_sleep(0.05)'),
    async (manager) => {
      (await clientOf(manager)).query(new QueryStream('select generate_series(1, 5)')).resume();
    },
  ),
};

const cases = <T>(table: Record<string, T>, works: (row: T) => readonly Work[]) =>
  Object.entries(table).flatMap(([name, row]) =>
    works(row).map((work, index) => ({ name: `${name} (${index + 1})`, row, work })),
  );

describe('a handler whose statements are rejected fails with an error, and the other handlers commit:', () => {
  it.each(cases(REJECTED, (works) => works))('$name', async ({ work }) => {
    const { states, errors, pooled } = await runClaim(work);
    expect(errors).toEqual([expect.stringMatching(/expected Handler\.receive .*, got .*\. [A-Z].*\./)]);
    expect(await effects()).toEqual(['1', '3']);
    expect(states[1]).toEqual(states[0]);
    for (const state of pooled) expect(state).toEqual(states[0]);
    expect(await waiting(Orders)).toEqual([]);
  });
});

describe('a handler whose statements work leaves the state of the next handler and of the pool unchanged:', () => {
  it.each(cases(WORKING, ({ works }) => works))('$name', async ({ row, work }) => {
    const { states, errors, claimErrors, pooled } = await runClaim(work);
    expect(errors).toEqual([]);
    expect(claimErrors).toEqual([]);
    expect((await effects()).toSorted()).toEqual(['1', '2', '3']);
    const lasting = row.endsWith === 'claim' ? ['zone', 'locks'] : [];
    const settled = (state: State | undefined) =>
      Object.fromEntries(Object.entries(state ?? {}).filter(([what]) => !lasting.includes(what)));
    expect(settled(states.at(-1))).toEqual(settled(states[0]));
    for (const state of pooled) expect(state).toEqual(states[0]);
  });
});

it('docs/stored-notifications.md lists exactly these cases', () => {
  const section = sectionOf(readText('docs/stored-notifications.md'), '### Rules for handlers');
  const rows = Array.from(section.matchAll(/^- (.+?)(?:: .*)?$/gm), ([, row = '']) => row);
  expect(rows.toSorted()).toEqual([...Object.keys(REJECTED), ...Object.keys(WORKING)].toSorted());
});

it('a handler that changes settings in a function does not use attempts of other rows', async () => {
  const { runs } = await runClaim(sql('select become_tenant()'));
  expect(runs.filter((run) => !run.endsWith('attempt 1'))).toEqual([]);
  await eventually(async () => (await waiting(Orders)).length === 0, 'nothing is waiting');
});
