import { describe, expect, it } from 'vitest';
import { parseRow } from '../../../lib/claims/parse-row.js';
import { PgPubSubError } from '../../../lib/common/errors.js';
import { createFields } from './fixtures.js';

/** The columns of a row in the order in which they are read, with the values of an ordinary row. */
const ORDINARY = {
  id: '7',
  xmax: '0',
  payload: '{"total":5}',
  context: null,
  key: null,
  attempts: '0',
  createdAt: '1785000000.123456',
  availableAt: '1785000001.123456',
  processId: '42',
  handledBy: null,
  listeners: null,
  retries: null,
  crashes: '0',
  now: null,
} as const;

type Columns = Record<keyof typeof ORDINARY, string | null>;

const parse = (columns: Partial<Columns> = {}, matches: readonly (string | null)[] = []) =>
  parseRow([...Object.values({ ...ORDINARY, ...columns }), ...matches]);

describe('parseRow()', () => {
  it('reads a row that was never tried', () => {
    expect(parse()).toEqual(createFields({ availableAt: '1785000001.123456' }));
  });

  it('reads a row in which every column has a value', () => {
    const columns: Columns = {
      id: '9223372036854775807',
      xmax: '4294967295',
      payload: '{"total":6}',
      context: '{"tenant":"a"}',
      key: 'order 5',
      attempts: '3',
      createdAt: '1785000000',
      availableAt: '1785000009.5',
      processId: '43',
      handledBy: '["a","b"]',
      listeners: '["c"]',
      retries: '{"c":{"attempts":2,"at":1785000009500.25}}',
      crashes: '1',
      now: '1785000010.123',
    };
    expect(parse(columns)).toEqual({
      id: '9223372036854775807',
      lastLocker: '4294967295',
      payload: '{"total":6}',
      isLarge: false,
      context: { tenant: 'a' },
      key: 'order 5',
      attempts: 3,
      createdAt: '1785000000',
      availableAt: '1785000009.5',
      processId: 43,
      handledBy: ['a', 'b'],
      listeners: ['c'],
      retries: new Map([['c', { attempts: 2, at: 1_785_000_009_500.25 }]]),
      crashCount: 1,
      now: 1_785_000_010_123,
      matches: [],
      unreadable: undefined,
    });
  });

  it('reads a row without a payload', () => {
    expect(parse({ payload: null })).toMatchObject({ payload: null, isLarge: false });
  });

  it('reads a row whose payload or context was too large to be included', () => {
    const large = { payload: null, context: {}, isLarge: true };
    expect(parse({ payload: '' })).toMatchObject(large);
    expect(parse({ context: '', retries: '{}' })).toMatchObject(large);
  });

  it.each([
    ['context', { context: '{"tenant":"a"}' }, { context: { tenant: 'a' } }],
    ['handled_by', { handledBy: '["a"]' }, { handledBy: ['a'] }],
    ['listeners', { listeners: '[]' }, { listeners: [] }],
    ['retries', { retries: '{}' }, { retries: new Map() }],
  ])('reads a row in which only %s has a special value', (_column, columns, expected) => {
    expect(parse(columns)).toMatchObject({ ...expected, unreadable: undefined });
  });

  it('reads which filters match, and treats null as no match', () => {
    expect(parse({}, ['t', 'f', null, 'true']).matches).toEqual([true, false, false, false]);
    expect(parse({ context: '{}' }, ['f', 't']).matches).toEqual([false, true]);
  });

  it('shares no mutable values between rows', () => {
    const [one, other] = [parse(), parse({ context: '{}' })];
    expect(() => Object.assign(one.context, { tenant: 'a' })).toThrow(TypeError);
    expect(() => (one.handledBy as string[]).push('a')).toThrow(TypeError);
    expect(other.context).toEqual({});
  });
});

describe('parseRow() on a column that was written by hand', () => {
  it.each([
    ['context', 'null', 'null'],
    ['context', '["tenant"]', 'an array'],
    ['context', '"tenant"', '"tenant"'],
    ['context', '5', '5'],
    ['context', 'true', 'true'],
    ['handledBy', '[null]', 'an array'],
    ['handledBy', '["a",null]', 'an array'],
    ['handledBy', '[["a","b"],["c","d"]]', 'an array'],
    ['handledBy', '[1]', 'an array'],
    ['handledBy', '{"a":true}', 'an object'],
    ['listeners', '[null]', 'an array'],
    ['listeners', '[["a"]]', 'an array'],
    ['listeners', '"a"', '"a"'],
    ['retries', 'null', 'null'],
    ['retries', '[]', 'an array'],
    ['retries', '"x"', '"x"'],
    ['retries', '0', '0'],
    ['retries', '{"a":1}', '1'],
    ['retries', '{"a":null}', 'null'],
    ['retries', '{"a":[]}', 'an array'],
    ['retries', '{"a":{}}', 'an object'],
    ['retries', '{"a":{"attempts":1}}', 'an object'],
    ['retries', '{"a":{"at":1}}', 'an object'],
    ['retries', '{"a":{"attempts":-1,"at":0}}', 'an object'],
    ['retries', '{"a":{"attempts":1.5,"at":0}}', 'an object'],
    ['retries', '{"a":{"attempts":1e400,"at":0}}', 'an object'],
    ['retries', '{"a":{"attempts":2147483647,"at":0}}', 'an object'],
    ['retries', '{"a":{"attempts":"1","at":0}}', 'an object'],
    ['retries', '{"a":{"attempts":null,"at":0}}', 'an object'],
    ['retries', '{"a":{"attempts":1,"at":"2026-01-01"}}', 'an object'],
    ['retries', '{"a":{"attempts":1,"at":null}}', 'an object'],
    ['retries', '{"a":{"attempts":1,"at":1e400}}', 'an object'],
    ['retries', '{"a":{"attempts":1,"at":0},"__proto__":1}', '1'],
  ] as const)('returns an unreadable row for %s: %s', (column, json, got) => {
    const { unreadable, ...fields } = parse({ [column]: json });
    const name = column === 'handledBy' ? 'handled_by' : column;
    expect(unreadable).toBeInstanceOf(PgPubSubError);
    expect(unreadable).toMatchObject({
      code: 'INVALID_PAYLOAD',
      message:
        `expected the column "${name}" as this library writes it, got ${got}. ` +
        'Grant writers insert on (channel, payload, key, context, available_at) only.',
    });
    const { unreadable: _none, ...ordinary } = parse();
    expect(fields).toEqual(ordinary);
  });

  it('keeps the other columns, so that the row can become a dead letter', () => {
    const row = parse({ context: '[]', handledBy: '["a"]', attempts: '4', crashes: '2', key: 'k' }, ['t']);
    expect(row).toMatchObject({ id: '7', attempts: 4, crashCount: 2, key: 'k', matches: [true] });
  });

  it.each([
    ['a negative number', '-2147483648', 0],
    ['the largest integer', '2147483647', 2_147_483_646],
    ['more than an integer', '99999999999', 2_147_483_646],
    ['infinity', 'Infinity', 2_147_483_646],
    ['a text', 'many', 0],
    ['null', null, 0],
  ])('limits attempts and crashes to the range of their columns: %s', (_what, written, expected) => {
    expect(parse({ attempts: written, crashes: '1' })).toMatchObject({ attempts: expected, crashCount: 1 });
    expect(parse({ crashes: written, attempts: '1' })).toMatchObject({ attempts: 1, crashCount: expected });
    const special = parse({ crashes: written, attempts: written, context: '{}' });
    expect(special).toMatchObject({ attempts: expected, crashCount: expected, unreadable: undefined });
  });

  it('accepts the largest number of attempts that can still be incremented', () => {
    const retries = '{"a":{"attempts":2147483646,"at":0}}';
    expect(parse({ retries }).retries).toEqual(new Map([['a', { attempts: 2_147_483_646, at: 0 }]]));
  });

  it('keeps infinite times as texts', () => {
    const times = { createdAt: '-Infinity', availableAt: '-Infinity' };
    expect(parse(times)).toMatchObject({ ...times, unreadable: undefined });
  });

  it('accepts keys with the names of inherited properties', () => {
    const retry = '{"attempts":1,"at":0}';
    const row = parse({
      context: '{"__proto__":{"admin":true}}',
      retries: `{"__proto__":${retry},"constructor":${retry},"toString":${retry}}`,
    });
    expect(row.unreadable).toBeUndefined();
    expect(row.context['admin']).toBeUndefined();
    expect(Object.keys(row.context)).toEqual(['__proto__']);
    expect([...row.retries.keys()]).toEqual(['__proto__', 'constructor', 'toString']);
    expect('admin' in {}).toBe(false);
    expect(parse({ retries: '{}' }).retries.get('constructor')).toBeUndefined();
  });

  it('does not throw for a deeply nested context', () => {
    const depth = 100_000;
    const { context, unreadable } = parse({ context: `{"a":${'['.repeat(depth)}${']'.repeat(depth)}}` });
    if (unreadable === undefined) expect(Object.keys(context)).toEqual(['a']);
    else expect(unreadable.code).toBe('INVALID_PAYLOAD');
  });

  it('does not throw for a text that is not JSON', () => {
    for (const column of ['context', 'handledBy', 'listeners', 'retries'])
      expect(parse({ [column]: '{' }).unreadable?.code).toBe('INVALID_PAYLOAD');
  });
});
