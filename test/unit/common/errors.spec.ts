import { describe, expect, it, vi } from 'vitest';
import {
  ERROR_CODES,
  NonRetryableError,
  PgPubSubError,
  describeValue,
  isNonRetryable,
  messageOf,
  stackOf,
  warnOf,
} from '../../../lib/common/errors.js';

class Order {}
function sendOrder() {}

describe('PgPubSubError', () => {
  it('is an Error with a code, a message and a cause', () => {
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

  it('has no property "cause" without a cause', () => {
    expect('cause' in new PgPubSubError('INVALID_ARGUMENT', 'expected one')).toBe(false);
  });

  it('has exactly these codes', () => {
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
      'STORAGE_MISSING',
      'TIMED_OUT',
      'UNKNOWN_INSTANCE',
    ]);
  });
});

describe('NonRetryableError', () => {
  it('is an Error with its own name and a cause', () => {
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
  ])('describes %o as %s', (value: unknown, expected) => {
    expect(describeValue(value)).toBe(expected);
  });

  it.each([
    ['string', 'x'.repeat(10_000)],
    ['bigint', 10n ** 1_000n],
    ['symbol', Symbol(`one\n${'x'.repeat(10_000)}`)],
  ])('describes a long %s in less than 100 characters of one line', (_kind, value) => {
    expect(describeValue(value).length).toBeLessThan(100);
    expect(describeValue(value)).not.toContain('\n');
  });

  it('shortens a string of more than 80 characters', () => {
    expect(describeValue('x'.repeat(80))).toBe(`"${'x'.repeat(80)}"`);
    expect(describeValue('x'.repeat(81))).toBe(`"${'x'.repeat(77)}"…`);
  });
});

describe('messageOf()', () => {
  it('returns the message of an error', () => {
    expect(messageOf(new TypeError('no such method'))).toBe('no such method');
  });

  it.each([
    ['boom', '"boom"'],
    [undefined, 'undefined'],
    [{ code: 1 }, 'an object'],
  ])('describes a value that is not an error: %o', (thrown, expected) => {
    expect(messageOf(thrown)).toBe(expected);
  });

  it('joins the messages of an AggregateError that has no message itself', () => {
    const reasons = [new Error('refused on ::1'), new Error('refused on 127.0.0.1')];

    expect(messageOf(new AggregateError(reasons))).toBe('refused on ::1; refused on 127.0.0.1');
    expect(messageOf(new AggregateError(reasons, 'no address left'))).toBe('no address left');
  });
});

describe('stackOf()', () => {
  it('returns the stack of an error, and undefined for other values', () => {
    const error = new Error('no');
    expect(stackOf(error)).toBe(error.stack);
    expect(stackOf(Object.assign(new Error('no'), { stack: undefined }))).toBeUndefined();
    expect(stackOf({ stack: 'Error: no' })).toBeUndefined();
    expect(stackOf(undefined)).toBeUndefined();
  });
});

describe('isNonRetryable()', () => {
  it('returns true for a NonRetryableError and its subclasses', () => {
    class OrderGone extends NonRetryableError {}
    expect(isNonRetryable(new NonRetryableError('gone'))).toBe(true);
    expect(isNonRetryable(new OrderGone('gone'))).toBe(true);
  });

  it.each([new Error('gone'), { name: 'NonRetryableError' }, NonRetryableError, null])(
    'returns false for %o',
    (error) => {
      expect(isNonRetryable(error)).toBe(false);
    },
  );
});

describe('warnOf()', () => {
  it('emits a process warning with the error, or with the description of another value', () => {
    const emitWarning = vi.spyOn(process, 'emitWarning').mockReturnValue();
    const error = new Error('no');
    warnOf(error);
    warnOf('boom');
    warnOf(revoked(error));
    expect(emitWarning.mock.calls).toEqual([[error], ['"boom"'], [UNREADABLE]]);
    emitWarning.mockRestore();
  });

  it('does not throw', () => {
    expect(() => warnOf(withGetter(new Error('no'), 'name'))).not.toThrow();
  });
});

const UNREADABLE = 'a value that cannot be described: reading it throws';

const throwing = () => {
  throw new Error('trap');
};
const withGetter = (value: object, key: string): unknown =>
  Object.defineProperty(value, key, { get: throwing });

function revoked(value: object): unknown {
  const { proxy, revoke } = Proxy.revocable(value, {});
  revoke();
  return proxy;
}

/** A proxy whose traps all throw. */
const trapped = (value: object): unknown =>
  new Proxy(
    value,
    Object.fromEntries(Object.getOwnPropertyNames(Reflect).map((trap) => [trap, throwing])) as object,
  );

/** An object of a class whose property "name" has this descriptor. */
const namedBy = (descriptor: PropertyDescriptor): unknown =>
  new (Object.defineProperty(class {}, 'name', descriptor))();

/** An Error with this message. */
const saying = (message: unknown): unknown => Object.assign(new Error('no'), { message });

const aggregate = (errors: unknown): unknown => Object.assign(new AggregateError([]), { errors });

function selfContaining(): unknown {
  const error = new AggregateError([]);
  error.errors.push(error);
  return error;
}

describe('a hostile value', () => {
  it.each([
    ['an Error whose message throws', withGetter(new Error('no'), 'message'), UNREADABLE],
    ['an Error whose stack throws', withGetter(new Error('no'), 'stack'), 'no'],
    ['an Error whose name throws', withGetter(new Error('no'), 'name'), 'no'],
    ['an Error whose constructor throws', withGetter(new Error('no'), 'constructor'), 'no'],
    ['an Error whose traps throw', trapped(new Error('no')), UNREADABLE],
    ['an object whose traps throw', trapped({}), UNREADABLE],
    ['an array whose traps throw', trapped([]), UNREADABLE],
    ['a function whose traps throw', trapped(() => undefined), UNREADABLE],
    ['an object whose prototype cannot be read', new Proxy({}, { getPrototypeOf: throwing }), UNREADABLE],
    ['a revoked Error', revoked(new Error('no')), UNREADABLE],
    ['a revoked object', revoked({}), UNREADABLE],
    ['a revoked array', revoked([]), UNREADABLE],
    ['a revoked function', revoked(() => undefined), UNREADABLE],
    ['an object of a class whose name throws', namedBy({ get: throwing }), UNREADABLE],
    ['an object of a class whose name is not a text', namedBy({ value: Symbol('x') }), 'an object'],
    ['a function whose name throws', withGetter(() => undefined, 'name'), UNREADABLE],
    [
      'a function whose name is a symbol',
      Object.defineProperty(() => 0, 'name', { value: Symbol('x') }),
      'a function',
    ],
    ['an object without a prototype', Object.create(null), 'an object'],
    [
      'an object whose toString throws',
      { toString: throwing, valueOf: throwing, toJSON: throwing },
      'an object',
    ],
    ['a symbol', Symbol('x'), 'Symbol(x)'],
    ['a bigint', 10n, '10'],
    ['an Error whose message is an object', saying({ toString: throwing }), 'an object'],
    ['an Error whose message is a symbol', saying(Symbol('x')), 'Symbol(x)'],
    ['an Error whose message is revoked', saying(revoked({})), UNREADABLE],
    ['an Error without a message', saying(undefined), 'undefined'],
    [
      'an AggregateError of hostile values',
      aggregate([trapped({}), saying(5n), 'x']),
      `${UNREADABLE}; 5; "x"`,
    ],
    ['an AggregateError of no errors', aggregate([]), ''],
    ['an AggregateError without errors', aggregate(undefined), UNREADABLE],
    ['an AggregateError whose errors are not a list', aggregate('two'), UNREADABLE],
    ['an AggregateError of itself', selfContaining(), ''],
  ])('is described without an error: %s', (_what, value, message) => {
    const [text, stack] = [messageOf(value), stackOf(value)];
    expect(text).toBe(message);
    expect(typeof stack).toMatch(/^(string|undefined)$/);
    expect(describeValue(value)).toBeTypeOf('string');
    expect(describeValue(value)).toMatch(/^.{1,100}$/);
    expect(isNonRetryable(value)).toBe(false);
  });

  it('has no stack when its stack is not a text or cannot be read', () => {
    expect(stackOf(Object.assign(new Error('no'), { stack: 5 }))).toBeUndefined();
    expect(stackOf(withGetter(new Error('no'), 'stack'))).toBeUndefined();
    expect(stackOf(trapped(new Error('no')))).toBeUndefined();
  });

  it.each([
    ['a class with a long name', namedBy({ value: 'Order\n'.repeat(100) })],
    ['a long name', Object.defineProperty(() => 0, 'name', { value: 'send\n'.repeat(100) })],
    ['control characters', '\u0001'.repeat(80)],
  ])('is described in at most 120 characters of one line when it has %s', (_what, value) => {
    expect(describeValue(value)).toMatch(/^.{1,120}$/);
  });

  it.each(['message', 'stack'])(
    'has a text as its %s, even when the property changes between two reads',
    (key) => {
      let reads = 0;
      const error = Object.defineProperty(new Error('no'), key, { get: () => (reads++ === 0 ? 'text' : {}) });
      expect([messageOf(error), stackOf(error) ?? ''].map((text) => typeof text)).toEqual([
        'string',
        'string',
      ]);
    },
  );
});
