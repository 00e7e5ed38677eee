import { describe, expect, it } from 'vitest';
import { contains, findJsonObstacle, isJsonObject } from '../../../lib/common/json.js';

describe('findJsonObstacle()', () => {
  const shared = { id: 1 };

  it.each([
    ['a string', 'text'],
    ['an empty string', ''],
    ['zero', 0],
    ['a boolean', false],
    ['null', null],
    ['undefined', undefined],
    ['an object without a prototype', Object.assign(Object.create(null), { a: 1 })],
    ['nested containers', { list: [1, 'two', { three: [null, true] }] }],
    ['a member that is undefined', { left: undefined }],
    [
      'an instance of a class',
      new (class Order {
        id = 1;
      })(),
    ],
    ['the same object twice, which is no cycle', { first: shared, second: shared, list: [shared, shared] }],
    ['a Date', new Date(0)],
    ['a Buffer', Buffer.from('bytes')],
    ['a URL', new URL('http://example.org')],
    ['an object with toJSON()', { toJSON: () => 1, loop: new Map() }],
  ])('returns undefined for %s', (_what, value: unknown) => {
    expect(findJsonObstacle(value)).toBeUndefined();
  });

  it.each([
    ['bigint', 10n],
    ['function', () => undefined],
    ['symbol', Symbol('s')],
    ['Map', new Map([[1, 2]])],
    ['Set', new Set([1])],
    ['WeakMap', new WeakMap()],
    ['WeakSet', new WeakSet()],
    ['RegExp', /x/],
    ['Promise', Promise.resolve(1)],
    ['TypeError', new TypeError('x')],
    ['ArrayBuffer', new ArrayBuffer(1)],
    ['Uint8Array', new Uint8Array(1)],
  ])('names the type %s and its path', (type, value: unknown) => {
    expect(findJsonObstacle(value)).toMatch(new RegExp(`^an? ${type} at \\$$`));
    expect(findJsonObstacle({ inner: [value] })).toMatch(new RegExp(`^an? ${type} at \\$\\.inner\\[0\\]$`));
  });

  it.each([Number.NaN, Infinity, -Infinity])('names %d', (value) => {
    expect(findJsonObstacle(value)).toBe(`${value} at $`);
  });

  it.each([
    [{ items: [{ price: 1 }, { price: 2 }, { price: 10n }] }, 'a bigint at $.items[2].price'],
    [[['a'], ['b', Number.NaN]], 'NaN at $[1][1]'],
    [{ handler: () => undefined }, 'a function at $.handler'],
    [{ tags: new Set(['a']) }, 'a Set at $.tags'],
  ])('names the path in %o', (value, expected) => {
    expect(findJsonObstacle(value)).toBe(expected);
  });

  it('names cycles of any length', () => {
    const self: Record<string, unknown> = { id: 1 };
    self['self'] = self;
    const list: unknown[] = [];
    list.push({ deep: { list } });

    expect(findJsonObstacle(self)).toBe('a cycle at $.self');
    expect(findJsonObstacle(list)).toBe('a cycle at $[0].deep.list');
  });

  it('names the first of several obstacles', () => {
    expect(findJsonObstacle({ fine: 1, first: Number.NaN, second: 10n })).toBe('NaN at $.first');
  });

  it('names an invalid Date, which JSON would turn into null', () => {
    expect(findJsonObstacle({ at: new Date(Number.NaN) })).toMatch(/ at \$\.at$/);
  });
});

describe('isJsonObject()', () => {
  it('returns true for objects only', () => {
    expect([{}, Object.create(null), { a: 1 }].every(isJsonObject)).toBe(true);
    expect([null, undefined, [], 'a', 1, true, () => undefined].some(isJsonObject)).toBe(false);
  });
});

describe('contains()', () => {
  it.each([
    [{ tenant: 'a', user: 1 }, { tenant: 'a' }],
    [{ tenant: 'a' }, {}],
    [{ trace: { id: 1, span: 2 } }, { trace: { id: 1 } }],
    [{ tags: ['a', 'b'] }, { tags: ['a', 'b'] }],
    [{ none: null }, { none: null }],
    [5, 5],
  ])('returns true for %o and %o', (value, wanted) => {
    expect(contains(value, wanted)).toBe(true);
  });

  it.each([
    [{ tenant: 'a' }, { tenant: 'b' }],
    [{}, { tenant: 'a' }],
    [{ tenant: 'a' }, { tenant: 'a', user: 1 }],
    [{ trace: { span: 2 } }, { trace: { id: 1 } }],
    [{ trace: 'x' }, { trace: { id: 1 } }],
    [{ tags: ['a', 'b'] }, { tags: ['a'] }],
    [{ count: 1 }, { count: '1' }],
    [{ none: undefined }, { none: null }],
    [[], {}],
    [null, {}],
  ])('returns false for %o and %o', (value, wanted) => {
    expect(contains(value, wanted)).toBe(false);
  });
});
