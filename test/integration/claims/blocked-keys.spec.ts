import type pg from 'pg';
import { afterEach, beforeEach, expect, it } from 'vitest';
import {
  FIRST_KEY,
  FIRST_UNKEYED,
  HEADS_PLANNER_SETTINGS,
  claimHeadOf,
  claimHeads,
  claimOldestHeads,
  type HeadsCursor,
  type HeadsScope,
} from '../../../lib/claims/heads.sql.js';
import { useStored } from '../../support/stored.js';

const { query, database } = useStored();

const scope: HeadsScope = {
  table: 'public.pgpubsub_notification',
  channel: 'orders',
  columns: 'n.id, n.key',
  conditions: ['n.listeners is null'],
};

let claimer: pg.Client;
let other: pg.Client;
beforeEach(async () => {
  claimer = await database.client();
  other = await database.client();
  await other.query('begin');
  await claimer.query('begin');
  for (const name of HEADS_PLANNER_SETTINGS) await claimer.query(`set local ${name} = off`);
});
afterEach(async () => {
  await claimer.end();
  await other.end();
  await query('truncate pgpubsub_notification');
});

/** Stores rows one millisecond apart; `key` is an expression over their number `n`. */
const store = (count: number, key: string) =>
  query(`insert into pgpubsub_notification (channel, key, available_at)
    select 'orders', ${key}, now() - interval '1 hour' + n * interval '1 ms' from generate_series(1, ${count}) n`);

/** Locks the oldest row of each key that matches the pattern in another transaction. */
const hold = (pattern: string) =>
  other.query(
    `select from pgpubsub_notification where id in
      (select min(id) from pgpubsub_notification where key like $1 group by key) for update`,
    [pattern],
  );

async function claim(sql: string) {
  const { rows } = await claimer.query<unknown[]>({ text: sql, rowMode: 'array' });
  return {
    keys: rows.filter(([id]) => id !== null).map(([, key]) => key),
    end: rows.map((values) => values.at(-1)).find((cursor) => cursor !== null) as HeadsCursor | undefined,
  };
}

/** The number of pages that a statement reads. */
async function pagesOf(sql: string): Promise<number> {
  const explain = `explain (analyze, buffers, format json) ${sql}`;
  const { rows } = await claimer.query<{ 'QUERY PLAN': [{ Plan: Record<string, number> }] }>(explain);
  const plan = rows[0]?.['QUERY PLAN'][0].Plan ?? {};
  return (plan['Shared Hit Blocks'] ?? 0) + (plan['Shared Read Blocks'] ?? 0);
}

it.each([2_000, 50_000])(
  'a claim reads few pages when %i rows wait behind a locked head of their key',
  async (count) => {
    await store(count, "'blocked'");
    await store(1, "'free'");
    await hold('blocked');
    for (const sql of [claimHeads(scope, 10), claimHeads(scope, 10, FIRST_KEY)])
      expect(await pagesOf(sql)).toBeLessThan(1_500);
    expect((await claim(claimHeads(scope, 10, FIRST_KEY))).keys).toEqual(['free']);
  },
);

it('a claim finds the newest row of a free key behind those of many blocked keys', async () => {
  await store(60_000, "'blocked ' || n % 600");
  await store(1, "'free'");
  await hold('blocked%');
  const oldest = await claim(claimHeads(scope, 10));
  expect(oldest).toEqual({ keys: [], end: FIRST_KEY });
  const keys = await claim(claimHeads(scope, 10, oldest.end));
  expect(keys).toMatchObject({ keys: [], end: { key: expect.stringMatching(/^blocked/) as string } });
  expect(await claim(claimHeads(scope, 10, keys.end))).toEqual({ keys: ['free'], end: undefined });
});

it('a claim finds rows without a key behind those of a blocked key', async () => {
  await store(12_000, "'blocked'");
  await store(3, 'null');
  await query("update pgpubsub_notification set available_at = now() - interval '1 s' where key is null");
  await hold('blocked');
  let cursor: HeadsCursor | undefined = FIRST_UNKEYED;
  const found: unknown[] = [];
  for (let claims = 0; cursor !== undefined; claims++) {
    const { keys, end } = await claim(claimHeads(scope, 10, cursor));
    found.push(...keys);
    cursor = end;
    expect(claims).toBeLessThan(4);
  }
  expect(found).toEqual([null, null, null]);
});

it('a claim never takes a row before an older one of its key, whether that is locked, delayed, or for other listeners', async () => {
  await store(
    40,
    "case n % 4 when 0 then 'held' when 1 then 'later' when 2 then 'of others' else 'free' end",
  );
  const change = (set: string, key: string) =>
    query(`update pgpubsub_notification set ${set} where id = (select min(id) from pgpubsub_notification where key = '${key}')`); // prettier-ignore
  await change("available_at = 'infinity'", 'later');
  await change("listeners = '{other}'", 'of others');
  await hold('held');
  for (const sql of [claimHeads(scope, 10), claimHeads(scope, 10, FIRST_KEY), claimOldestHeads(scope, 10)])
    expect(await claim(sql)).toEqual({ keys: ['free'], end: undefined });
  const ids = await query<{ id: string; key: string }>(
    'select id, key from pgpubsub_notification order by id',
  );
  for (const key of ['held', 'later', 'of others', 'free']) {
    const [head, next] = ids.filter((row) => row.key === key);
    expect((await claim(claimHeadOf(scope, head?.id ?? ''))).keys).toEqual(key === 'free' ? ['free'] : []);
    expect((await claim(claimHeadOf(scope, next?.id ?? ''))).keys).toEqual([]);
  }
});

it('a claim reports that another transaction handles the key', async () => {
  await store(1, "'a'");
  await other.query("select pg_advisory_xact_lock(hashtextextended('pgpubsub orders a', 0))");
  for (const sql of [claimHeads(scope, 10), claimHeads(scope, 10, FIRST_KEY), claimOldestHeads(scope, 10)]) {
    const { rows } = await claimer.query<unknown[]>({ text: sql, rowMode: 'array' });
    expect(rows.map((values) => values.at(-2))).toEqual([false]);
  }
});
