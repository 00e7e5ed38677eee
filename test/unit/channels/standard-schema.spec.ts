import { describe, expect, it } from 'vitest';
import { z } from 'zod';
import { defineChannel } from '../../../lib/channels/channel.definition.js';
import { validatePayload } from '../../../lib/channels/payload.codec.js';
import { describeIssues } from '../../../lib/channels/standard-schema.js';
import { thrownBy } from '../support/recording.js';

describe('validatePayload()', () => {
  const schema = z.object({ id: z.number(), at: z.coerce.date().optional() });
  const orders = defineChannel('orders', { schema });
  const isKnown = (id: number) => Promise.resolve(id === 1);
  const known = defineChannel('known', { schema: z.number().refine(isKnown, 'unknown order') });

  it('returns any payload unchanged on a channel without a schema', () => {
    const payload = { any: 'thing' };

    expect(validatePayload(defineChannel('orders'), payload)).toBe(payload);
  });

  it('returns the output of the schema', () => {
    expect(validatePayload(orders, { id: 1, at: '1970-01-01', more: true })).toEqual({
      id: 1,
      at: new Date(0),
    });
  });

  it('throws an error with the issues of the schema and their paths', () => {
    expect(thrownBy(() => validatePayload(orders, { id: 'one' }))).toMatchObject({
      code: 'PAYLOAD_REJECTED',
      message: expect.stringMatching(
        /the schema of channel "orders" accepts, got id: .*expected number/,
      ) as string,
    });
  });

  it('resolves with the output of an asynchronous schema', async () => {
    const accepted = validatePayload(known, 1);

    expect(accepted).toBeInstanceOf(Promise);
    await expect(accepted).resolves.toBe(1);
  });

  it('rejects when an asynchronous schema has issues', async () => {
    await expect(validatePayload(known, 2)).rejects.toMatchObject({
      code: 'PAYLOAD_REJECTED',
      message: expect.stringContaining('got unknown order.') as string,
    });
  });
});

describe('describeIssues()', () => {
  it('describes all issues in one line, each with its path', () => {
    const issues = [
      { message: 'expected a number', path: ['items', 2, { key: 'price' }] },
      { message: 'expected an id', path: [] },
      { message: 'expected more' },
    ];

    expect(describeIssues(issues)).toBe('items.2.price: expected a number; expected an id; expected more');
  });
});
