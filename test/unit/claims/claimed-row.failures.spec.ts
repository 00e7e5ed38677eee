import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { ClaimedRow, deadRows, errorText, postponedRow } from '../../../lib/claims/claimed-row.js';
import { parseRow, type RowFields } from '../../../lib/claims/parse-row.js';
import { NonRetryableError } from '../../../lib/common/errors.js';
import { createFields, createListener } from './fixtures.js';

const [a, b] = [createListener('a'), createListener('b')];
const NOW = 1_785_000_000_000;

const createRow = (fields: Partial<RowFields> = {}, listeners = [a, b]) =>
  new ClaimedRow(createFields({ now: NOW, ...fields }), listeners);

beforeEach(() => {
  vi.spyOn(Math, 'random').mockReturnValue(1);
});
afterEach(() => {
  vi.restoreAllMocks();
});

describe('postponedRow()', () => {
  it('returns the retry of a failed listener and the name of a successful one', () => {
    const row = createRow();
    row.succeed(a);
    row.fail(b, 'no');
    expect(postponedRow(row, NOW)).toEqual({
      id: '7',
      attempts: 1,
      available_ms: NOW + 100,
      handled_by: ['a'],
      listeners: null,
      retries: { b: { attempts: 1, at: NOW + 100 } },
      last_error: '"no"',
    });
  });

  it('makes the row available when its first listener is due', () => {
    const retries = new Map([['a', { attempts: 1, at: NOW + 30 }]]);
    const row = createRow({ retries });
    row.fail(b, 'no');
    expect(postponedRow(row, NOW)).toMatchObject({
      available_ms: NOW + 30,
      retries: { a: { attempts: 1, at: NOW + 30 }, b: { attempts: 1, at: NOW + 100 } },
    });
  });

  it('makes the row available at once for listeners that have not run', () => {
    const row = createRow();
    row.fail(a, 'no');
    expect(postponedRow(row, NOW)).toMatchObject({ available_ms: NOW, handled_by: [] });
  });

  it('makes the row available at once for listeners of other processes', () => {
    const row = createRow({ listeners: ['a', 'elsewhere'] });
    row.succeed(a);
    expect(postponedRow(row, NOW)).toMatchObject({
      available_ms: NOW,
      handled_by: ['a'],
      listeners: ['elsewhere'],
      last_error: null,
    });
  });

  it('keeps the retries of other processes, and drops those of finished listeners', () => {
    const retry = { attempts: 2, at: NOW };
    const retries = new Map([
      ['a', retry],
      ['b', retry],
      ['elsewhere', retry],
    ]);
    const row = createRow({ retries, handledBy: ['before'] });
    row.fail(a, new NonRetryableError('gone'));
    const postponed = postponedRow(row, NOW);
    expect(postponed).toMatchObject({ handled_by: ['before', 'a'] });
    expect(postponed).toHaveProperty('retries', { b: retry, elsewhere: retry });
  });

  it('returns null for retries when none are left', () => {
    const row = createRow({ retries: new Map([['a', { attempts: 2, at: NOW }]]) });
    row.succeed(a);
    expect(postponedRow(row, NOW)).toMatchObject({ retries: null, handled_by: ['a'] });
  });

  it('counts the crashes of a row only once over several retries', () => {
    const patient = createListener('a', { retry: { ...a.retry, maxAttempts: 10 } });
    const row = createRow({ crashCount: 2, retries: new Map([['a', { attempts: 3, at: NOW }]]) }, [patient]);
    row.fail(patient, 'no');
    expect(postponedRow(row, NOW)).toMatchObject({
      attempts: 6,
      retries: { a: { attempts: 4, at: NOW + 1_000 } },
    });
  });

  it('never lowers the number of attempts', () => {
    const row = createRow({ attempts: 8 });
    row.fail(a, 'no');
    expect(postponedRow(row, NOW)).toMatchObject({ attempts: 8 });
  });

  it('accepts listeners with the names of inherited properties', () => {
    const names = ['constructor', '__proto__', 'toString'];
    const listeners = names.map((name) => createListener(name));
    const [first, second, third] = listeners;
    const row = createRow({}, listeners);
    if (first) row.fail(first, 'no');
    if (second) row.fail(second, 'no');
    if (third) row.succeed(third);
    const json = JSON.stringify(postponedRow(row, NOW));
    expect(json).toContain(
      `"retries":{"constructor":{"attempts":1,"at":${NOW + 100}},"__proto__":{"attempts":1,"at":${NOW + 100}}}`,
    );
    expect(json).toContain('"handled_by":["toString"]');
  });

  it.each(['1e300', '-1e300'])('returns a time that PostgreSQL can store after a retry at %s', (at) => {
    const retries = `{"a":{"attempts":0,"at":${at}},"b":{"attempts":0,"at":0}}`;
    const values = ['7', '0', '1', null, null, '0', '0', '0', '1', null, null, retries, '0', '1785000000'];
    const row = new ClaimedRow(parseRow(values), [a, b]);
    row.succeed(b);
    const { available_ms: availableMs } = postponedRow(row, NOW) as { available_ms: number };
    expect(availableMs).toBeGreaterThan(-2.1e14); // 4713 BC
    expect(availableMs).toBeLessThan(9.2e15); // 294276 AD
  });
});

describe('deadRows()', () => {
  it('returns a row for each listener that has given up, and none for others', () => {
    const row = createRow({ crashCount: 1 }, [a, b, createListener('c')]);
    row.fail(a, new NonRetryableError('gone'));
    row.fail(b, 'retried');
    row.succeed(createListener('c'));
    row.giveUp(createListener('d'), 'unreadable');
    expect(deadRows(row)).toEqual([
      { id: '7', listener: 'a', attempts: 2, last_error: expect.stringContaining('gone') },
      { id: '7', listener: 'd', attempts: 1, last_error: '"unreadable"' },
    ]);
  });

  it('returns nothing for a row that has not failed', () => {
    expect(deadRows(createRow())).toEqual([]);
  });
});

describe('errorText()', () => {
  it('returns the stack when it contains the message', () => {
    const error = new TypeError('no such order');
    expect(errorText(error)).toBe(error.stack);
    expect(errorText(error)).toMatch(/^TypeError: no such order\n\s+at /);
  });

  it('returns the message and the stack when the stack lacks the message', () => {
    const error = Object.assign(new Error('second'), { stack: 'Error: first\n    at x' });
    expect(errorText(error)).toBe('second\nError: first\n    at x');
  });

  it('returns the message alone when there is no stack', () => {
    expect(errorText(Object.assign(new Error('no'), { stack: undefined }))).toBe('no');
    expect(errorText('no')).toBe('"no"');
    expect(errorText(undefined)).toBe('undefined');
  });

  it('removes NUL characters, which PostgreSQL cannot store', () => {
    expect(errorText(Object.assign(new Error('a\0b\0'), { stack: '' }))).toBe('ab');
  });

  it('returns at most 10,000 characters', () => {
    const textOf = (length: number) =>
      errorText(Object.assign(new Error('x'.repeat(length)), { stack: undefined }));
    expect(textOf(10_000)).toHaveLength(10_000);
    expect(textOf(1_000_000)).toHaveLength(10_000);
  });

  it('keeps surrogate pairs whole and replaces half of one', () => {
    const textOf = (message: string) => errorText(Object.assign(new Error(message), { stack: undefined }));
    expect(textOf('sent 📦')).toBe('sent 📦');
    const cut = textOf(`${'x'.repeat(9_999)}📦`);
    expect(cut).toBe(`${'x'.repeat(9_999)}\uFFFD`);
    expect(textOf('\uDCE6 alone')).toBe('\uFFFD alone');
  });

  it('describes errors whose properties throw', () => {
    const throwing = () => {
      throw new Error('trap');
    };
    const proxy = new Proxy(new Error('no'), { get: throwing, getPrototypeOf: throwing });
    const getter = Object.defineProperties(new Error('no'), {
      stack: { value: 'Error: no' }, // first, because formatting a stack reads the message
      message: { get: throwing },
    });
    expect(errorText(proxy)).toBe('a value that cannot be described: reading it throws');
    expect(errorText(getter)).toBe('a value that cannot be described: reading it throws\nError: no');
    expect(errorText(Object.create(null))).toBe('an object');
  });
});
