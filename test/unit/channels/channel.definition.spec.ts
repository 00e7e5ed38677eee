import { describe, expect, it } from 'vitest';
import { z } from 'zod';
import { ChannelDefinition, defineChannel, plainChannel } from '../../../lib/channels/channel.definition.js';
import type { ChannelOptions } from '../../../lib/channels/channel.options.js';
import { thrownBy } from '../support/recording.js';

const defaults = {
  name: 'orders',
  delivery: 'broadcast',
  schema: undefined,
  codec: undefined,
  ordered: false,
  retry: undefined,
  timeoutMs: undefined,
  wake: 'notify',
  pollIntervalMs: undefined,
  deadLetters: undefined,
};

/** Accepts options of any type, as code without TypeScript may give them. */
const define = (options: unknown) => defineChannel('orders', options as ChannelOptions);

describe('defineChannel()', () => {
  it('defines a broadcast channel of any JSON from a name alone', () => {
    const channel = defineChannel('orders');

    expect(channel).toBeInstanceOf(ChannelDefinition);
    expect(Object.entries(channel)).toEqual(expect.arrayContaining(Object.entries(defaults)));
    expect(Object.keys(channel)).toHaveLength(Object.keys(defaults).length);
  });

  it('keeps the given options', () => {
    const options = {
      delivery: 'exactly-once',
      schema: z.object({ id: z.number() }),
      codec: { encode: String, decode: () => ({ id: 1 }), input: 'text' },
      ordered: true,
      retry: { maxAttempts: 5, minDelayMs: 1, maxDelayMs: 2 },
      timeoutMs: false,
      wake: 'poll',
      pollIntervalMs: 100,
      deadLetters: { keepMs: 31_536_000_000 },
    } as const;

    expect(defineChannel('orders', options)).toMatchObject({ ...options, name: 'orders' });
  });

  it('gives a codec the parsed JSON value, unless the codec asks for the text', () => {
    const codec = { encode: String, decode: () => ({ id: 1 }) };

    expect(defineChannel('orders', { codec }).codec).toEqual({ ...codec, input: 'json' });
    expect(defineChannel('orders', { codec: { ...codec, input: 'text' } }).codec?.input).toBe('text');
  });

  it('adds no defaults to options that override those of the module', () => {
    const options = { delivery: 'exactly-once', retry: { maxAttempts: 5 }, deadLetters: {} } as const;

    expect(defineChannel('orders', options)).toMatchObject({ retry: { maxAttempts: 5 }, deadLetters: {} });
    expect(defineChannel('orders', options).deadLetters).not.toHaveProperty('keepMs');
  });

  it.each(['ordered', 'retry', 'timeoutMs', 'wake', 'deadLetters'] as const)(
    'rejects "%s" for a broadcast channel, where it has no effect',
    (option) => {
      const values = { ordered: true, retry: {}, timeoutMs: false, wake: 'poll', deadLetters: {} };

      expect(thrownBy(() => define({ [option]: values[option] }))).toMatchObject({
        code: 'INVALID_CHANNEL',
        message:
          `the channel "orders": expected "${option}" for exactly-once channels only, got it for broadcast. ` +
          `Add delivery: 'exactly-once', or remove "${option}".`,
      });
      expect(define({ [option]: values[option], delivery: 'exactly-once' })).toHaveProperty(option);
    },
  );

  it('accepts explicit defaults for a broadcast channel', () => {
    const options = { delivery: 'broadcast', ordered: false, wake: 'notify' } as const;

    expect(defineChannel('orders', options)).toEqual(defineChannel('orders'));
  });

  it('returns a frozen object', () => {
    expect(defineChannel('orders')).toSatisfy(Object.isFrozen);
  });

  it('accepts schemas that are functions, such as those of arktype', () => {
    const schema = Object.assign(() => undefined, { '~standard': z.string()['~standard'] });

    expect(define({ schema }).schema).toBe(schema);
  });

  it.each([
    ['a name of 64 bytes', () => defineChannel('x'.repeat(64)), '1 to 63 bytes long'],
    ['an unknown option', () => define({ delivry: 'broadcast' }), 'got "delivry"'],
    ['"pollIntervalMs" without polling', () => define({ pollIntervalMs: 5 }), "together with wake: 'poll'"],
    ['an unknown delivery', () => define({ delivery: 'once' }), '"delivery" of the channel "orders"'],
    ['an invalid schema', () => define({ schema: { parse: () => 1 } }), 'a Standard Schema'],
    ['a schema without validate()', () => define({ schema: { '~standard': {} } }), 'a Standard Schema'],
    ['an invalid codec', () => define({ codec: JSON.parse }), '"codec" of the channel "orders"'],
    [
      'half of a codec',
      () => define({ codec: { encode: String } }),
      '"codec.decode" of the channel "orders"',
    ],
    [
      'a codec whose members are texts',
      () => define({ codec: { encode: 'json', decode: 'json' } }),
      'to be a function',
    ],
    [
      '"ordered" that is not a boolean',
      () => define({ ordered: 'yes' }),
      '"ordered" of the channel "orders"',
    ],
    ['zero attempts', () => define({ retry: { maxAttempts: 0 } }), '"retry.maxAttempts"'],
    ['an unknown way to wake', () => define({ wake: 'call' }), '"wake" of the channel "orders"'],
    ['a poll interval of zero', () => define({ pollIntervalMs: 0 }), '"pollIntervalMs"'],
    [
      'an age that is not a number',
      () => define({ deadLetters: { keepMs: 'year' } }),
      '"deadLetters.keepMs" of the channel "orders"',
    ],
    [
      'an unknown input of a codec',
      () => define({ codec: { encode: String, decode: String, input: 'xml' } }),
      '"codec.input" of the channel "orders"',
    ],
    ['options that are not an object', () => define('exactly-once'), 'the channel "orders"'],
  ])('rejects %s', (_what, act, expected) => {
    expect(thrownBy(act)).toMatchObject({
      code: 'INVALID_CHANNEL',
      message: expect.stringContaining(expected) as string,
    });
  });

  it('does not name the missing member of a codec as its expected value', () => {
    expect(thrownBy(() => define({ codec: { encode: String } }))).not.toMatchObject({
      message: expect.stringContaining('to be "decode"') as string,
    });
  });

  it('rejects a retry whose minDelayMs exceeds its maxDelayMs', () => {
    expect(thrownBy(() => define({ retry: { minDelayMs: 10, maxDelayMs: 9 } }))).toMatchObject({
      code: 'INVALID_CHANNEL',
      message: expect.stringContaining('"minDelayMs":10,"maxDelayMs":9}') as string,
    });
  });
});

describe('plainChannel()', () => {
  it('returns the same definition as defineChannel() with a name', () => {
    expect(plainChannel('orders')).toEqual(defineChannel('orders'));
  });
});
