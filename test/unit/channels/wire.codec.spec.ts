import { describe, expect, it } from 'vitest';
import { decodeWire, encodeWire, splitWire } from '../../../lib/channels/wire.codec.js';

const envelope = '{"pgpubsub":1,"context":{"tenant":"a"},"payload":{"id":1}}';

describe('a payload without context', () => {
  it.each([
    ['an object', { id: 42, tags: ['a', null] }, '{"id":42,"tags":["a",null]}'],
    ['zero', 0, '0'],
    ['false', false, 'false'],
    ['an empty string', '', '""'],
    ['null', null, 'null'],
    ['undefined', undefined, ''],
    ['a string that looks like JSON', '{"id":1}', String.raw`"{\"id\":1}"`],
    ['a string that looks like a number', '42', '"42"'],
    ['a line break', 'two\nlines', String.raw`"two\nlines"`],
    ['non-ASCII text', 'Ünïcödé 📦', '"Ünïcödé 📦"'],
  ])('is encoded as plain JSON text: %s', (_what, payload, text) => {
    expect(encodeWire(payload, undefined)).toBe(text);
    expect(decodeWire(text)).toEqual({ payload, context: {} });
  });

  it('is encoded as plain JSON text when the context is empty', () => {
    expect(encodeWire({ id: 1 }, {})).toBe('{"id":1}');
  });

  it.each([
    ['with context', { pgpubsub: 1, context: { tenant: 'x' }, payload: 'theirs' }],
    ['without payload', { pgpubsub: 1, context: {} }],
    ['with another member', { pgpubsub: 1, context: {}, payload: 1, more: true }],
    ['that toJSON() returns', { toJSON: () => ({ pgpubsub: 1, context: {}, payload: 'theirs' }) }],
  ])('is decoded unchanged when it looks like an envelope %s', (_what, payload) => {
    const { payload: arrived, context } = decodeWire(encodeWire(payload, undefined));

    expect(arrived).toEqual(JSON.parse(JSON.stringify(payload)));
    expect(context).toEqual({});
  });

  it.each([
    ['another version', { pgpubsub: 2, context: {}, payload: 1 }],
    ['a version that is a text', { pgpubsub: '1', context: {}, payload: 1 }],
    ['no context', { pgpubsub: 1, payload: 1 }],
    ['a context that is not an object', { pgpubsub: 1, context: ['a'], payload: 1 }],
  ])('is encoded as plain JSON text when it differs from an envelope: %s', (_what, payload) => {
    const text = encodeWire(payload, undefined);

    expect(text).toBe(JSON.stringify(payload));
    expect(decodeWire(text)).toEqual({ payload, context: {} });
  });
});

describe('a payload with context', () => {
  it('is encoded in an envelope', () => {
    expect(encodeWire({ id: 1 }, { tenant: 'a' })).toBe(envelope);
    expect(decodeWire(envelope)).toEqual({ payload: { id: 1 }, context: { tenant: 'a' } });
  });

  it.each([0, false, '', null, '{"id":1}', undefined])('is decoded unchanged: %o', (payload) => {
    const content = decodeWire(encodeWire(payload, { tenant: 'a' }));

    expect(content).toEqual({ payload, context: { tenant: 'a' } });
  });

  it('is decoded unchanged when it looks like an envelope itself', () => {
    const payload = { pgpubsub: 1, context: { tenant: 'x' }, payload: 'theirs' };

    expect(decodeWire(encodeWire(payload, { tenant: 'a' }))).toEqual({ payload, context: { tenant: 'a' } });
  });

  it('is encoded as plain JSON text when all members of the context are undefined', () => {
    expect(encodeWire({ id: 1 }, { tenant: undefined })).toBe('{"id":1}');
  });
});

describe('the text of another client', () => {
  it.each(['hello', '{"id":', ' ', 'NaN', "{'id': 1}", '\u0001', 'undefined'])(
    'is decoded as a string when it is not JSON: %o',
    (text) => {
      expect(decodeWire(text)).toEqual({ payload: text, context: {} });
    },
  );

  it('may contain keys that are names of inherited properties', () => {
    const text = '{"__proto__":{"polluted":true},"constructor":1}';
    const payload = decodeWire(text).payload as object;

    expect(JSON.stringify(payload)).toBe(text);
    expect(Object.getPrototypeOf(payload)).toBe(Object.prototype);
    expect('polluted' in {}).toBe(false);
    expect(encodeWire(payload, undefined)).toBe(text);
    expect(decodeWire(encodeWire(payload, { tenant: 'a' })).payload).toEqual(payload);
  });

  it('is decoded as an envelope when it looks like one', () => {
    expect(decodeWire('{"payload":1,"pgpubsub":1,"context":{}}')).toEqual({ payload: 1, context: {} });
  });

  it.each([
    ['an envelope', '{"pgpubsub":1,"context":{"a":1},"payload":2}', '2', { a: 1 }],
    [
      'a payload when its mark is escaped',
      String.raw`{"pgp\u0075bsub":1,"context":{"a":1},"payload":2}`,
      undefined,
      {},
    ],
    ['a payload when it has no mark', '{"context":{"a":1},"payload":2}', undefined, {}],
  ])(
    'is decoded as %s, both for a codec of values and for a codec of texts',
    (_what, text, payload = text, context) => {
      expect(splitWire(text)).toEqual({ payload, context });
      expect(decodeWire(text)).toEqual({ payload: JSON.parse(payload), context });
    },
  );

  it('has a frozen context', () => {
    expect(decodeWire('1').context).toSatisfy(Object.isFrozen);
  });
});
