import { describe, expect, it } from 'vitest';
import { SessionLostError, assertSameSession } from '../../../lib/connection/session-proof.js';
import { thrownBy } from '../support/recording.js';

const last = { pid: '10', channels: 3 };

describe('assertSameSession()', () => {
  it.each([
    ['the same backend with the same channels', { pid: '10', channels: 3 }, last],
    ['the same backend with another channel', { pid: '10', channels: 4 }, last],
    ['the first answer, with any process id', { pid: '12', channels: 3 }, undefined],
  ])('accepts %s', (_what, found, before) => {
    expect(() => assertSameSession(found, 3, before)).not.toThrow();
  });

  it.each([
    [
      'another backend',
      { pid: '12', channels: 0 },
      last,
      'was replaced: backend 12 instead of 10, 0 channels instead of 3',
    ],
    [
      'another backend with the same number of channels',
      { pid: '12', channels: 3 },
      last,
      'was replaced: backend 12 instead of 10, 3 channels instead of 3',
    ],
    [
      'fewer channels',
      { pid: '10', channels: 2 },
      last,
      'has lost channels: it listens to 2 channels instead of 3',
    ],
    [
      'fewer channels in the first answer',
      { pid: '12', channels: 0 },
      undefined,
      'has lost channels: it listens to 0 channels instead of 3',
    ],
    [
      'an answer that is not a number',
      { pid: '10', channels: NaN },
      last,
      'has lost channels: it listens to NaN channels instead of 3',
    ],
  ])('rejects %s', (_what, found, before, sentence) => {
    const error = thrownBy(() => assertSameSession(found, 3, before));
    expect(error).toBeInstanceOf(SessionLostError);
    expect(error).toMatchObject({ message: `the server session behind the LISTEN connection ${sentence}` });
  });
});
