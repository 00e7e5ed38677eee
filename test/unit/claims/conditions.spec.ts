import type { DataSource } from 'typeorm';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import type { ClaimContext } from '../../../lib/claims/claim-context.js';
import { beginClaim, contextOfClaim, type ClaimRange } from '../../../lib/claims/claim.sql.js';
import { createListener, splitLiterals } from './fixtures.js';

const HOSTILE = String.raw`it's \' "x"; drop table y; --`;
const TEN = { size: 10 };
const [a, b] = [createListener('a'), createListener('b')];

const createContext = (rest: Partial<ClaimContext> = {}): ClaimContext => ({
  dataSource: {} as DataSource, // not used here
  schema: 'public',
  channel: 'orders',
  ordered: false,
  listeners: [a, b],
  filter: undefined,
  context: undefined,
  contextOfHandler: () => undefined,
  decode: (json) => json,
  maxTimeMs: 250,
  deadPeerTimeoutMs: 30_000,
  isEnding: () => false,
  signal: new AbortController().signal,
  report: () => undefined,
  platform: { isKnown: true, hasUserTimeout: true, hasKeepAlives: true },
  restoresSettings: false,
  givenUp: [],
  heldBack: new Map(),
  ...rest,
});

function begin(rest?: Partial<ClaimContext>, range: ClaimRange = TEN): string {
  const context = createContext(rest);
  return beginClaim(context, range, contextOfClaim(context));
}
const statementsOf = (text: string) => text.split('; ').map((statement) => statement.trim());
const selectOf = (text: string) => statementsOf(text).find((one) => /^(select|with) /.test(one)) ?? '';
/** The conditions of the statement that locks rows, without those on channel and due time. */
const whereOf = (text: string) =>
  /where n\.channel = '[^']*' and n\.available_at <= statement_timestamp\(\) and ([^]*?)\s+(order by|for update)/.exec(
    text,
  )?.[1];
const ADDRESSED = "(n.listeners is null or n.listeners operator(pg_catalog.&&) array['a', 'b']::text[])";
const contains = (json: string) => `coalesce(n.context, '{}') @> '${json}'::jsonb`;

const RANGES: readonly (readonly [string, boolean, ClaimRange])[] = [
  ['rows', false, TEN],
  ['rows behind a cursor', false, { size: 10, from: { availableAt: HOSTILE, id: '7' } }],
  ['one row', false, { id: '7' }],
  ['the oldest heads', true, { size: 10, heads: 'oldest' }],
  ['the heads of a window', true, { size: 10, heads: 'window' }],
  ['heads by key', true, { size: 10, heads: { key: HOSTILE } }],
  ['heads behind a cursor', true, { size: 10, heads: { availableAt: HOSTILE, id: '7' } }],
  ['one head', true, { id: '7' }],
];

describe('beginClaim()', () => {
  it.each(RANGES)('quotes all texts of the application when it claims %s', (_what, ordered, range) => {
    const text = begin(
      {
        ordered,
        schema: 'my "app"',
        channel: HOSTILE,
        listeners: [createListener(`${HOSTILE} a`, { filter: { tenant: HOSTILE } })],
        filter: { module: HOSTILE },
        context: () => ({ user: HOSTILE }),
      },
      range,
    );
    const { literals, rest } = splitLiterals(text);
    const named = `${HOSTILE} a`;
    const filters = [{ tenant: HOSTILE }, { module: HOSTILE }, { user: HOSTILE }].map((one) =>
      JSON.stringify(one),
    );
    expect(literals).toEqual(expect.arrayContaining([named, ...filters]));
    const expected = [HOSTILE, `pgpubsub ${HOSTILE} `, named, ...filters];
    for (const literal of literals) if (literal.includes('drop table')) expect(expected).toContain(literal);
    expect(rest).toContain('"my ""app"""."pgpubsub_notification"');
    expect(rest).not.toContain('drop table');
    expect(rest).not.toContain("'");
  });

  it('claims rows of its channel only', () => {
    const { literals, rest } = splitLiterals(begin({ channel: HOSTILE }));
    expect(rest.replaceAll(/\s+/g, ' ')).toContain('where n.channel = ? and n.available_at <=');
    expect(literals).toContain(HOSTILE);
  });

  it('locks the oldest rows up to the size, and skips rows that other processes hold', () => {
    expect(selectOf(begin())).toMatch(/order by n\.available_at, n\.id limit 10 for update skip locked$/);
  });

  it('uses read committed, and restricts the planner for one statement', () => {
    const statements = statementsOf(
      begin({ platform: { isKnown: true, hasUserTimeout: false, hasKeepAlives: false } }),
    );
    const settings = ['enable_seqscan', 'enable_bitmapscan', 'enable_sort'];
    expect(statements[0]).toMatch(/^begin isolation level read committed \/\* pgpubsub [\w-]+ \*\/$/);
    expect(statements.slice(1, 4)).toEqual(settings.map((name) => `set local ${name} = off`));
    expect(statements[4]).toMatch(/^select /);
    expect(statements.slice(5)).toEqual(settings.map((name) => `set local ${name} = default`));
  });

  it('selects the columns in the order in which they are parsed, and one more for each filter', () => {
    const filtered = createListener('f', { filter: { tenant: 'f' } });
    const text = selectOf(begin({ listeners: [a, filtered, b] }));
    const columns = [
      'n.id',
      'n.xmax',
      'else n.payload::text end',
      'else n.context::text end',
      'null, n.attempts',
      'extract(epoch from n.created_at)',
      'extract(epoch from n.available_at)',
      'n.process_id',
      'to_json(n.handled_by)',
      'to_json(n.listeners)',
      'n.retries',
      'n.deaths',
      'then extract(epoch from clock_timestamp()) end',
      contains('{"tenant":"f"}'),
      ' from "public"',
    ];
    let position = 0;
    for (const column of columns) {
      const next = text.indexOf(column, position);
      expect(next, column).toBeGreaterThan(position);
      position = next;
    }
  });
});

const addressedTo = (name: string) =>
  `(n.listeners is null or n.listeners operator(pg_catalog.&&) array['${name}']::text[])`;

describe('the conditions of beginClaim()', () => {
  beforeEach(() => {
    vi.useFakeTimers();
  });
  afterEach(() => {
    vi.useRealTimers();
  });

  it('include rows for all listeners and for listeners of this process', () => {
    expect(whereOf(begin())).toBe(ADDRESSED);
  });

  it('include the filter of the module', () => {
    expect(whereOf(begin({ filter: { tenant: 'a' } }))).toBe(
      `${ADDRESSED} and ${contains('{"tenant":"a"}')}`,
    );
  });

  it('include the filter of at least one listener when each has a filter', () => {
    const listeners = ['a', 'b'].map((name) => createListener(name, { filter: { tenant: name } }));
    expect(whereOf(begin({ listeners }))).toBe(
      `((${addressedTo('a')} and ${contains('{"tenant":"a"}')}) or (${addressedTo('b')} and ${contains('{"tenant":"b"}')}))`,
    );
  });

  it('include the filter of a listener only for its own rows', () => {
    const filtered = createListener('a', { filter: { tenant: 'a' } });
    expect(whereOf(begin({ listeners: [filtered, b] }))).toBe(
      `(${addressedTo('b')} or (${addressedTo('a')} and ${contains('{"tenant":"a"}')}))`,
    );
  });

  it('exclude rows that are held back, until their time has come', () => {
    const now = performance.now();
    const heldBack = new Map([
      ['5', { attempts: 1, until: now + 100 }],
      ['6', { attempts: 1, until: now + 200 }],
    ]);
    const where = () => whereOf(begin({ heldBack }));
    expect(where()).toBe(`${ADDRESSED} and n.id <> all('{5,6}')`);
    vi.advanceTimersByTime(100);
    expect(where()).toBe(`${ADDRESSED} and n.id <> all('{6}')`);
    vi.advanceTimersByTime(100);
    expect(where()).toBe(ADDRESSED);
  });

  it.each(['1785000000.123456', 'Infinity', '-Infinity'])(
    'continue behind a row of the time %s',
    (availableAt) => {
      const cursor = { availableAt, id: '7' };
      expect(whereOf(begin({}, { size: 10, from: cursor }))).toBe(
        `${ADDRESSED} and (n.available_at, n.id) > (to_timestamp('${availableAt}'::float8), 7)`,
      );
      expect(whereOf(begin({}, { size: 10, from: undefined }))).toBe(ADDRESSED);
    },
  );

  it('include the id of a single row, in addition to the others', () => {
    expect(whereOf(begin({}, { id: '7' }))).toBe(`${ADDRESSED} and n.id = 7`);
    expect(selectOf(begin({}, { id: '7' }))).toMatch(/for update skip locked$/);
  });
});

describe('the settings of beginClaim()', () => {
  const contextOf = (context: ClaimContext['context']) =>
    statementsOf(begin({ context })).filter((one) => one.includes('pgpubsub.context'));

  it('include the context of the module for triggers', () => {
    expect(contextOf(() => ({ user: 5 }))).toEqual([`set local pgpubsub.context = '{"user":5}'`]);
  });

  it('include no context when there is none', () => {
    expect(contextOf(undefined)).toEqual([]);
    expect(contextOf(() => ({}))).toEqual([]);
  });

  /** The values of the TCP settings, in the units of PostgreSQL. */
  const tcpOf = (deadPeerTimeoutMs: number, platform = {}) => {
    const known = { isKnown: true, hasUserTimeout: true, hasKeepAlives: true, ...platform };
    const found = begin({ deadPeerTimeoutMs, platform: known }).matchAll(/set local tcp_(\w+) = ([^;]*)/g);
    return Object.fromEntries([...found].map(([, name, value]) => [String(name), Number(value)]));
  };
  const detectionTimeOf = (tcp: Record<string, number>) =>
    Number(tcp['keepalives_idle']) + Number(tcp['keepalives_interval']) * Number(tcp['keepalives_count']);

  it('detect a dead peer within 30 s by default', () => {
    expect(tcpOf(30_000)).toEqual({
      user_timeout: 30_000,
      keepalives_idle: 10,
      keepalives_interval: 6,
      keepalives_count: 3,
    });
  });

  it.each([4_000, 5_999, 10_000, 30_000, 60_500, 32_767_000])(
    'detect a dead peer within %d ms',
    (timeoutMs) => {
      const tcp = tcpOf(timeoutMs);
      expect(tcp['user_timeout']).toBe(timeoutMs);
      expect(detectionTimeOf(tcp)).toBeLessThanOrEqual(timeoutMs / 1_000);
      expect(detectionTimeOf(tcp)).toBeGreaterThan(timeoutMs / 2_000);
      for (const value of Object.values(tcp)) expect(value).toSatisfy(Number.isInteger);
    },
  );

  it('are never 0, which would mean the default of the operating system: two hours', () => {
    expect(tcpOf(1_000)).toEqual({
      user_timeout: 1_000,
      keepalives_idle: 1,
      keepalives_interval: 1,
      keepalives_count: 3,
    });
  });

  it('stay within the limit of Linux for keep-alives: 32,767 s', () => {
    const tcp = tcpOf(2_147_483_647);
    expect(tcp['keepalives_idle']).toBeLessThanOrEqual(32_767);
    expect(tcp['keepalives_interval']).toBeLessThanOrEqual(32_767);
  });

  it('include only those that the platform of the server supports', () => {
    expect(Object.keys(tcpOf(30_000, { hasUserTimeout: false }))).toHaveLength(3);
    expect(Object.keys(tcpOf(30_000, { hasKeepAlives: false }))).toEqual(['user_timeout']);
    expect(tcpOf(30_000, { hasUserTimeout: false, hasKeepAlives: false })).toEqual({});
  });
});
