import { beforeAll, describe, expect, it } from 'vitest';
import type { ClaimContext } from '../../../lib/claims/claim-context.js';
import { beginClaim, completeClaim, type ClaimCursor } from '../../../lib/claims/claim.sql.js';
import { useStored } from '../../support/stored.js';

const { query, database } = useStored();

const WAITING = 100_000;
beforeAll(async () => {
  await query('alter table pgpubsub_notification set (autovacuum_enabled = false)');
  await query(`insert into pgpubsub_notification (channel, payload, key, context)
    select case when n % 10 = 0 then 'others' else 'orders' end, '{}', 'k' || n % 1000, '{"tenant": "a"}' from generate_series(1, ${WAITING}) n`);
});

/** The properties of a claim's context that its SQL reads. */
const context = (more: Partial<ClaimContext> = {}): ClaimContext =>
  ({
    schema: 'public',
    channel: 'orders',
    ordered: false,
    listeners: [{ name: 'A.b', filter: undefined }],
    filter: undefined,
    context: undefined,
    deadPeerTimeoutMs: 30_000,
    heldBack: new Map(),
    platform: { isKnown: true, hasUserTimeout: true, hasKeepAlives: true },
    ...more,
  }) as unknown as ClaimContext;

interface Plan {
  readonly 'Node Type': string;
  readonly 'Index Name'?: string;
  readonly 'Actual Rows': number;
  readonly 'Rows Removed by Filter'?: number;
  readonly Plans?: readonly Plan[];
}

/** The plan of the claim's statement that reads rows, run as the claim runs it. */
async function explain(sql: string): Promise<Plan> {
  const client = await database.client();
  const statements = sql.split('; ');
  const read = statements.findLastIndex((text) => /^\s*(select|with)/.test(text));
  for (const statement of statements.slice(0, read)) await client.query(statement);
  const { rows } = await client.query<{ 'QUERY PLAN': [{ Plan: Plan }] }>(
    `explain (analyze, format json) ${String(statements[read])}`,
  );
  await client.end();
  return rows[0]?.['QUERY PLAN'][0].Plan as Plan;
}

const nodes = (plan: Plan): readonly Plan[] => [plan, ...(plan.Plans ?? []).flatMap(nodes)];

describe.each([
  ['without statistics', 'select 1'],
  ['with statistics', 'analyze pgpubsub_notification'],
  ['with statistics of an empty table', "update pg_class set reltuples = 0, relpages = 0 where relname = 'pgpubsub_notification'"], // prettier-ignore
])('a claim among 100,000 waiting rows, %s,', (_, prepare) => {
  beforeAll(() => query(prepare));

  it.each<[string, Partial<ClaimContext>, ClaimCursor | undefined]>([
    ['from the start', {}, undefined],
    ['after the last row', {}, { availableAt: '0', id: '0' }],
    ['with a filter', { filter: { tenant: 'a' } }, undefined],
    ['in order', { ordered: true }, undefined],
  ])('reads only the rows that it takes, along the index: %s', async (_name, more, cursor) => {
    const plan = nodes(
      await explain(
        beginClaim(
          context(more),
          'ordered' in more ? { size: 100, heads: 'window' } : { size: 100, from: cursor },
          '{}',
        ),
      ),
    );
    const scans = plan.filter((node) => /(?<!CTE |Subquery |Tid )Scan$/.test(node['Node Type'])); // prettier-ignore
    expect(scans.map((node) => node['Index Name'])).toContain('pgpubsub_notification_claim');
    for (const scan of scans) {
      expect(scan['Node Type']).toMatch(/^Index (Only )?Scan/);
      expect(scan['Actual Rows'] + (scan['Rows Removed by Filter'] ?? 0)).toBeLessThanOrEqual(1_000);
    }
    expect(plan.filter((node) => node['Node Type'].includes('Sort'))).toEqual([]);
  });

  it('completes rows along the index, with a plan for one claim and with a cached plan', async () => {
    const client = await database.client();
    await client.query('begin');
    for (let count = 0; count < 10; count++) {
      const ids = Array.from({ length: 100 }, (_id, index) => String(count * 100 + index + 1));
      await client.query(completeClaim('public', ids).replace('; commit', ''));
    }
    const { rows } = await client.query(
      `select seq_scan::int as seq, n_tup_del::int as deleted from pg_stat_xact_user_tables where relname = 'pgpubsub_notification'`,
    );
    expect(rows).toEqual([{ seq: 0, deleted: 1_000 }]);
    await client.query('rollback');
    await client.end();
  });
});

it('the first statement of a claim leaves the settings of the planner unchanged', async () => {
  const client = await database.client();
  await client.query(beginClaim(context(), { size: 10 }, '{}'));
  const { rows } = await client.query<{ setting: string }>(
    "select setting from pg_settings where name like 'enable\\_%scan' or name in ('enable_sort', 'enable_hashjoin', 'enable_mergejoin')",
  );
  expect(rows.map(({ setting }) => setting)).toEqual(rows.map(() => 'on'));
  await client.query('rollback');
});
