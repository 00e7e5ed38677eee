import { describe, expect, it } from 'vitest';
import {
  ERROR_CODES,
  NonRetryableError,
  PgPubSubError,
  describeValue,
  messageOf,
} from '../../../lib/common/errors.js';

class Order {}
function sendOrder() {}

describe('PgPubSubError', () => {
  it('is an Error that carries its code, its message and its cause', () => {
    const cause = new Error('refused');
    const error = new PgPubSubError('CONNECT_FAILED', 'expected a server', { cause });

    expect(error).toBeInstanceOf(Error);
    expect(error).toMatchObject({
      name: 'PgPubSubError',
      code: 'CONNECT_FAILED',
      message: 'expected a server',
    });
    expect(error.cause).toBe(cause);
    expect(String(error)).toBe('PgPubSubError: expected a server');
  });

  it('has no cause where there is none', () => {
    expect('cause' in new PgPubSubError('INVALID_ARGUMENT', 'expected one')).toBe(false);
  });

  it('knows these codes and no others', () => {
    expect(ERROR_CODES.toSorted()).toEqual([
      'BUFFER_OVERFLOW',
      'CHANNEL_CONFLICT',
      'COMPLETION_REFUSED',
      'CONNECT_FAILED',
      'DATA_SOURCE_UNUSABLE',
      'DELIVERY_UNSUPPORTED',
      'DUPLICATE_INSTANCE',
      'HANDLER_TIMEOUT',
      'INVALID_ARGUMENT',
      'INVALID_CHANNEL',
      'INVALID_LISTENER',
      'INVALID_OPTIONS',
      'INVALID_PAYLOAD',
      'INVALID_TRIGGER',
      'PAYLOAD_REJECTED',
      'PAYLOAD_TOO_LARGE',
      'SCHEMA_DRIFTED',
      'TIMED_OUT',
      'UNKNOWN_INSTANCE',
    ]);
  });
});

describe('NonRetryableError', () => {
  it('is an Error with a name and a cause of its own', () => {
    const error = new NonRetryableError('no such order', { cause: 'deleted' });

    expect(error).toBeInstanceOf(Error);
    expect(error).toMatchObject({ name: 'NonRetryableError', message: 'no such order', cause: 'deleted' });
  });
});

describe('describeValue()', () => {
  it.each([
    ['orders', '"orders"'],
    ['two\nlines', String.raw`"two\nlines"`],
    ['', '""'],
    [5, '5'],
    [-0.5, '-0.5'],
    [Number.NaN, 'NaN'],
    [10n, '10'],
    [true, 'true'],
    [null, 'null'],
    [undefined, 'undefined'],
    [Symbol('orders'), 'Symbol(orders)'],
    [[1, 2], 'an array'],
    [{ id: 1 }, 'an object'],
    [Object.create(null), 'an object'],
    [new Order(), 'an instance of Order'],
    [new Date(0), 'an instance of Date'],
    [Order, 'the class Order'],
    [sendOrder, 'the function sendOrder'],
    [() => undefined, 'a function'],
  ])('says of %o: %s', (value: unknown, expected) => {
    expect(describeValue(value)).toBe(expected);
  });

  it.each([
    ['string', 'x'.repeat(10_000)],
    ['bigint', 10n ** 1_000n],
    ['symbol', Symbol(`one\n${'x'.repeat(10_000)}`)],
  ])('says a long %s in less than a line', (_kind, value) => {
    expect(describeValue(value).length).toBeLessThan(100);
    expect(describeValue(value)).not.toContain('\n');
  });

  it('leaves a string of 80 characters whole', () => {
    expect(describeValue('x'.repeat(80))).toBe(`"${'x'.repeat(80)}"`);
    expect(describeValue('x'.repeat(81))).toBe(`"${'x'.repeat(77)}"…`);
  });
});

describe('messageOf()', () => {
  it('is the message of an error', () => {
    expect(messageOf(new TypeError('no such method'))).toBe('no such method');
  });

  it.each([
    ['boom', '"boom"'],
    [undefined, 'undefined'],
    [{ code: 1 }, 'an object'],
  ])('describes what is no error: %o', (thrown, expected) => {
    expect(messageOf(thrown)).toBe(expected);
  });

  it('joins the reasons of an AggregateError that says nothing itself', () => {
    const reasons = [new Error('refused on ::1'), new Error('refused on 127.0.0.1')];

    expect(messageOf(new AggregateError(reasons))).toBe('refused on ::1; refused on 127.0.0.1');
    expect(messageOf(new AggregateError(reasons, 'no address left'))).toBe('no address left');
  });
});
