import superjson from 'superjson';
import { describe, expect, it } from 'vitest';
import { defineChannel, type ChannelDefinition } from '../../../lib/channels/channel.definition.js';
import { MAX_NOTIFY_BYTES, decodePayload, encodeBroadcast } from '../../../lib/channels/payload.codec.js';
import { decodeWire } from '../../../lib/channels/wire.codec.js';
import { thrownBy } from '../support/recording.js';

const orders = defineChannel('orders');
const errorOf = (payload: unknown, channel: ChannelDefinition = orders, context?: Record<string, unknown>) =>
  thrownBy(() => encodeBroadcast(channel, payload, context));

describe('encodeBroadcast()', () => {
  it('encodes payloads and context as JSON', () => {
    expect(encodeBroadcast(orders, { id: 42 }, undefined)).toBe('{"id":42}');
    expect(encodeBroadcast(orders, undefined, undefined)).toBe('');
    expect(encodeBroadcast(orders, 1, { tenant: 'a' })).toBe(
      '{"pgpubsub":1,"context":{"tenant":"a"},"payload":1}',
    );
  });

  it.each([
    ['a Date', new Date(0), '"1970-01-01T00:00:00.000Z"'],
    ['a Buffer', Buffer.from('ab'), '{"type":"Buffer","data":[97,98]}'],
    ['an object', { toJSON: () => ({ id: 1 }) }, '{"id":1}'],
  ])('encodes %s with its toJSON()', (_what, payload, text) => {
    expect(encodeBroadcast(orders, payload, undefined)).toBe(text);
  });

  it.each([
    ['a bigint', { id: 10n }, 'a bigint at $.id'],
    ['a function', [() => 1], 'a function at $[0]'],
    ['a symbol', { s: Symbol('s') }, 'a symbol at $.s'],
    ['NaN', { n: Number.NaN }, 'NaN at $.n'],
    ['a Map', { m: new Map() }, 'a Map at $.m'],
    ['a Set', { s: new Set() }, 'a Set at $.s'],
  ])('rejects %s, which JSON cannot represent', (_what, payload, got) => {
    expect(errorOf(payload)).toMatchObject({
      code: 'INVALID_PAYLOAD',
      message:
        `expected a payload that JSON can represent for channel "orders", got ${got}. ` +
        'Convert it, or give the channel a codec.',
    });
  });

  it('rejects a cycle', () => {
    const payload: Record<string, unknown> = {};
    payload['self'] = payload;

    expect(errorOf(payload)).toMatchObject({
      code: 'INVALID_PAYLOAD',
      message: expect.stringContaining('a cycle at $.self') as string,
    });
  });

  it('rejects a payload that is nested too deeply', () => {
    const payload: unknown = JSON.parse('['.repeat(100_000) + ']'.repeat(100_000));

    expect(errorOf(payload)).toMatchObject({ code: 'INVALID_PAYLOAD' });
  });

  it('rejects a context that JSON cannot represent', () => {
    expect(errorOf(1, orders, { user: 10n })).toMatchObject({
      code: 'INVALID_PAYLOAD',
      message: expect.stringContaining('expected a context that JSON can represent') as string,
    });
  });

  it('rejects a payload whose toJSON() throws, with the error as its cause', () => {
    const cause = new Error('not loaded');
    const payload = {
      toJSON() {
        throw cause;
      },
    };

    expect(errorOf(payload)).toMatchObject({
      code: 'INVALID_PAYLOAD',
      message: expect.stringContaining('not loaded') as string,
      cause,
    });
  });

  it.each([undefined, { tenant: 'a' }])(
    'rejects a payload whose toJSON() returns undefined, with context %o',
    (context) => {
      expect(errorOf({ toJSON: () => undefined }, orders, context)).toMatchObject({
        code: 'INVALID_PAYLOAD',
      });
    },
  );
});

describe('NUL characters', () => {
  const nul = String.raw`\u0000`; // six characters of text

  it.each([
    ['in a text', 'a\0b'],
    ['in a member', { text: ['\0'] }],
    ['in a key', { 'a\0b': 1 }],
    ['behind a backslash', '\\\0'],
    ['behind two backslashes', '\\\\\0'],
    ['beside the text of the escape', `${nul}\0`],
  ])('are rejected %s', (_where, payload) => {
    expect(errorOf(payload)).toMatchObject({
      code: 'INVALID_PAYLOAD',
      message: expect.stringContaining('text without NUL characters') as string,
    });
  });

  it('are rejected in the context', () => {
    expect(errorOf(1, orders, { user: 'a\0b' })).toMatchObject({ code: 'INVALID_PAYLOAD' });
  });

  it.each([nul, `\\${nul}`, `\\\\${nul}`, `text ${nul} text`])(
    'are not confused with the text %s',
    (text) => {
      expect(decodeWire(encodeBroadcast(orders, text, undefined)).payload).toBe(text);
    },
  );
});

describe('the size limit of PostgreSQL', () => {
  const quotes = 2;
  const context = { tenant: 'a' };
  const envelope = Buffer.byteLength(encodeBroadcast(orders, '', context)) - quotes;

  it('is 7,999 bytes', () => {
    expect(MAX_NOTIFY_BYTES).toBe(7_999);
  });

  it.each([
    ['ASCII', 'a'.repeat(7_997), undefined],
    ['characters of two bytes', `a${'é'.repeat(3_998)}`, undefined],
    ['characters of three bytes', `aa${'€'.repeat(2_665)}`, undefined],
    ['characters of four bytes', `a${'📦'.repeat(1_999)}`, undefined],
    ['text beside a context', 'a'.repeat(7_997 - envelope), context],
  ])('is reached by 7,999 bytes of %s, and exceeded by one more', (_what, payload, sentContext) => {
    expect(Buffer.byteLength(encodeBroadcast(orders, payload, sentContext))).toBe(7_999);
    expect(errorOf(`a${payload}`, orders, sentContext)).toMatchObject({
      code: 'PAYLOAD_TOO_LARGE',
      message: expect.stringMatching(
        /"orders" to be at most 7999 bytes, got 8000\. Send an id .* exactly-once\./,
      ) as string,
    });
  });
});

describe('a codec', () => {
  const encode = () => {
    throw new TypeError('no such unit');
  };
  const amounts = defineChannel<bigint>('amounts', { codec: { encode: String, decode: BigInt } });

  it('encodes before JSON and decodes after it', () => {
    const text = encodeBroadcast(amounts, 10n, undefined);

    expect(text).toBe('"10"');
    expect(decodePayload(amounts, decodeWire(text).payload)).toBe(10n);
  });

  it('also decodes a missing payload, because a codec that checks signatures must see each notification', () => {
    expect(() => decodePayload(amounts, decodeWire('').payload)).toThrow(
      expect.objectContaining({ code: 'INVALID_PAYLOAD' }) as Error,
    );
    const optional = defineChannel<number | undefined>('optional', {
      codec: { encode: (value) => value ?? null, decode: (json: number | null) => json ?? undefined },
    });
    expect(encodeBroadcast(optional, undefined, undefined)).toBe('null');
    expect(decodePayload(optional, decodeWire('null').payload)).toBeUndefined();
  });

  it('makes the payload invalid when encode() throws, with the error as its cause', () => {
    const channel = defineChannel('amounts', { codec: { encode, decode: BigInt } });

    expect(errorOf(1, channel)).toMatchObject({
      code: 'INVALID_PAYLOAD',
      message: expect.stringMatching(/codec .* "amounts", got no such unit\./) as string,
      cause: expect.any(TypeError) as Error,
    });
  });

  it('makes the payload invalid when decode() throws, with the error as its cause', () => {
    expect(thrownBy(() => decodePayload(amounts, 'ten'))).toMatchObject({
      code: 'INVALID_PAYLOAD',
      message: expect.stringMatching(
        /a payload that its codec can decode .*"amounts".* Send it with the same codec/,
      ) as string,
      cause: expect.any(SyntaxError) as Error,
    });
  });

  it('makes the payload invalid when encode() returns a value that JSON cannot represent', () => {
    const channel = defineChannel('amounts', { codec: { encode: () => 10n, decode: BigInt } });

    expect(errorOf(1, channel)).toMatchObject({ code: 'INVALID_PAYLOAD' });
  });

  it.each([
    [
      'a Map with numbers as keys',
      new Map([
        [1, 'one'],
        [2, 'two'],
      ]),
    ],
    ['a Set', new Set(['a', 'b'])],
    ['a Date', new Date(0)],
    ['a bigint', 12_345_678_901_234_567_890n],
    ['plain JSON', { id: 1, tags: ['a'], none: null }],
    [
      'nested containers',
      { byId: new Map([[1, { tags: new Set([new Date(0)]), sums: [10n] }]]), left: undefined },
    ],
  ])('can be superjson, which carries %s', (_what, payload: unknown) => {
    const channel = defineChannel<unknown>('reports', {
      codec: { encode: superjson.serialize, decode: superjson.deserialize },
    });

    const text = encodeBroadcast(channel, payload, { tenant: 'a' });

    expect(decodePayload(channel, decodeWire(text).payload)).toStrictEqual(payload);
  });
});
