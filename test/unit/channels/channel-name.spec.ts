import { describe, expect, it } from 'vitest';
import { assertChannelName } from '../../../lib/channels/channel-name.js';
import { thrownBy } from '../support/recording.js';

describe('assertChannelName()', () => {
  it.each([
    ['a name of one byte', 'o'],
    ['a name of 63 bytes', 'x'.repeat(63)],
    ['31 characters of two bytes and one of one byte', `${'é'.repeat(31)}x`],
    ['21 characters of three bytes', '€'.repeat(21)],
    ['a name with emoji', 'orders 📦'],
    ['a name with upper case', 'OrderCreated'],
    ['a name with quotes', `it's "quoted"`],
    ['a name with punctuation', 'orders:created.v1/eu-west; --'],
    ['a name with a line break', 'two\nlines'],
  ])('accepts %s', (_what, name) => {
    expect(() => assertChannelName(name)).not.toThrow();
  });

  it.each([
    ['a name of 64 bytes', 'x'.repeat(64), '1 to 63 bytes long, got 64 bytes'],
    ['a name of 64 bytes in 32 characters', 'é'.repeat(32), '1 to 63 bytes long, got 64 bytes'],
    ['an empty name', '', '1 to 63 bytes long, got 0 bytes'],
    ['a NUL character', 'a\0b', String.raw`free of NUL characters, got "a\u0000b"`],
    ['half of a surrogate pair', 'a\uD800', String.raw`well-formed Unicode, got "a\ud800"`],
    ['a number', 5, 'a name of 1 to 63 bytes, got 5'],
    ['undefined', undefined, 'a name of 1 to 63 bytes, got undefined'],
    ['an object', {}, 'a name of 1 to 63 bytes, got an object'],
  ])('rejects %s', (_what, name, expected) => {
    expect(thrownBy(() => assertChannelName(name))).toMatchObject({
      code: 'INVALID_CHANNEL',
      message: expect.stringContaining(`expected the channel name to be ${expected}`) as string,
    });
  });

  it('does not ask for an empty name to be shortened', () => {
    expect((thrownBy(() => assertChannelName('')) as Error).message).not.toContain('Shorten');
  });
});
