import { afterEach, describe, expect, it, vi } from 'vitest';
import { ClaimedRow } from '../../../lib/claims/claimed-row.js';
import type { RowFields } from '../../../lib/claims/parse-row.js';
import { NonRetryableError } from '../../../lib/common/errors.js';
import { createFields, createListener } from './fixtures.js';

const [a, b, c] = [createListener('a'), createListener('b'), createListener('c')];
const NOW = 1_785_000_000_000;

const createRow = (fields: Partial<RowFields> = {}, listeners = [a, b]) =>
  new ClaimedRow(createFields(fields), listeners);
const retriesOf = (retries: Record<string, { attempts: number; at: number }>) => ({
  retries: new Map(Object.entries(retries)),
  now: NOW,
});
const namesOf = (listeners: readonly { readonly name: string }[]) => listeners.map(({ name }) => name);

afterEach(() => {
  vi.restoreAllMocks();
});

describe('ClaimedRow.listeners', () => {
  it('contains all listeners for a row that was never tried', () => {
    expect(namesOf(createRow().listeners)).toEqual(['a', 'b']);
  });

  it('leaves out listeners that have handled the row', () => {
    expect(namesOf(createRow({ handledBy: ['a', 'elsewhere'] }).listeners)).toEqual(['b']);
  });

  it('leaves out listeners that the row does not name', () => {
    expect(namesOf(createRow({ listeners: ['b', 'elsewhere'] }).listeners)).toEqual(['b']);
    expect(namesOf(createRow({ listeners: [] }).listeners)).toEqual([]);
  });

  it('leaves out listeners whose filter does not match', () => {
    const filter = { tenant: 'a' };
    const listeners = [a, createListener('f', { filter }), b, createListener('g', { filter })];
    const namesFor = (matches: boolean[]) => namesOf(createRow({ matches }, listeners).listeners);
    expect(namesFor([true, false])).toEqual(['a', 'f', 'b']);
    expect(namesFor([false, true])).toEqual(['a', 'b', 'g']);
    expect(namesFor([false, false])).toEqual(['a', 'b']);
  });

  it('leaves out a listener with a filter when the row has no result for it', () => {
    const filtered = createListener('f', { filter: {} });
    expect(namesOf(createRow({ listeners: ['f'] }, [filtered]).listeners)).toEqual([]);
  });

  it('accepts listeners with the names of inherited properties', () => {
    const listeners = [createListener('constructor'), createListener('__proto__')];
    const row = createRow({ handledBy: ['__proto__'], now: NOW }, listeners);
    expect(namesOf(row.listeners)).toEqual(['constructor']);
    expect(row.listeners.map((one) => row.attemptOf(one))).toEqual([1]);
    expect(namesOf(row.due)).toEqual(['constructor']);
  });
});

describe('ClaimedRow.due', () => {
  it('leaves out listeners whose retry is not due yet', () => {
    const row = createRow(retriesOf({ a: { attempts: 1, at: NOW + 500 }, b: { attempts: 1, at: NOW } }));
    expect(namesOf(row.due)).toEqual(['b']);
    expect(namesOf(row.listeners)).toEqual(['a', 'b']);
  });

  it('includes listeners that have not failed yet', () => {
    expect(namesOf(createRow(retriesOf({ a: { attempts: 1, at: NOW + 500 } })).due)).toEqual(['b']);
  });

  it('includes a listener that is due within a millisecond, because times are rounded', () => {
    const dueWith = (at: number) => namesOf(createRow(retriesOf({ a: { attempts: 1, at } })).due);
    expect(dueWith(NOW + 1)).toEqual(['a', 'b']);
    expect(dueWith(NOW + 1.01)).toEqual(['b']);
  });

  it('includes all listeners when none is due, because the row was claimed anyway', () => {
    const later = { attempts: 1, at: NOW + 60_000 };
    expect(namesOf(createRow(retriesOf({ a: later, b: later })).due)).toEqual(['a', 'b']);
  });
});

describe('ClaimedRow.attemptOf()', () => {
  it('counts the failures of the listener and the crashes of the row', () => {
    const row = createRow({ ...retriesOf({ a: { attempts: 2, at: NOW } }), crashCount: 3, attempts: 9 });
    expect(row.attemptOf(a)).toBe(6);
    expect(row.attemptOf(b)).toBe(4);
    expect(createRow().attemptOf(a)).toBe(1);
  });

  it('stays within the range of its column, no matter what the row contains', () => {
    const retries = retriesOf({ a: { attempts: 2_147_483_646, at: 0 } });
    expect(createRow({ ...retries, crashCount: 1 }).attemptOf(a)).toBeLessThanOrEqual(2_147_483_647);
  });
});

describe('ClaimedRow.fail()', () => {
  const failureOf = (row: ClaimedRow, error: unknown = new Error('no'), listener = a) => {
    row.fail(listener, error);
    return row.failures.at(-1);
  };

  it('records the listener, its error, its attempt and its pause', () => {
    vi.spyOn(Math, 'random').mockReturnValue(1);
    const error = new Error('no');
    expect(failureOf(createRow(), error)).toEqual({ listener: 'a', error, attempt: 1, delayMs: 100 });
  });

  it('doubles the pause with each attempt, up to the longest pause', () => {
    vi.spyOn(Math, 'random').mockReturnValue(1);
    const retry = { maxAttempts: 100, minDelayMs: 100, maxDelayMs: 1_000 };
    const patient = createListener('a', { retry });
    const delayOf = (attempts: number) =>
      failureOf(createRow(retriesOf({ a: { attempts, at: 0 } }), [patient]), undefined, patient)?.delayMs;
    expect([0, 1, 2, 3, 4, 98].map(delayOf)).toEqual([100, 200, 400, 800, 1_000, 1_000]);
  });

  it('chooses a random pause within the bounds', () => {
    const pauses = Array.from({ length: 100 }, () => failureOf(createRow())?.delayMs ?? -1);
    expect(Math.min(...pauses)).toBeGreaterThanOrEqual(0);
    expect(Math.max(...pauses)).toBeLessThanOrEqual(100);
    expect(new Set(pauses).size).toBeGreaterThan(10);
  });

  it.each([
    ['failures', { a: { attempts: 2, at: 0 } }, 0, undefined],
    ['crashes', {}, 2, undefined],
    ['failures and crashes', { a: { attempts: 1, at: 0 } }, 1, undefined],
    ['the failures of another listener', { b: { attempts: 2, at: 0 } }, 0, 0],
  ])('gives up after the last attempt, which counts %s', (_what, retries, crashCount, delayMs) => {
    vi.spyOn(Math, 'random').mockReturnValue(0);
    expect(failureOf(createRow({ ...retriesOf(retries), crashCount }))?.delayMs).toBe(delayMs);
  });

  it('gives up at once on an error that is not to be retried', () => {
    class Gone extends NonRetryableError {}
    expect(failureOf(createRow(), new NonRetryableError('gone'))?.delayMs).toBeUndefined();
    expect(failureOf(createRow(), new Gone('gone'))).toMatchObject({ attempt: 1, delayMs: undefined });
    expect(failureOf(createRow(), { name: 'NonRetryableError' })?.delayMs).toBeTypeOf('number');
  });

  it('accepts an error that cannot be read', () => {
    const { proxy, revoke } = Proxy.revocable(new Error('no'), {});
    revoke();
    expect(failureOf(createRow(), proxy)?.delayMs).toBeTypeOf('number');
  });
});

describe('ClaimedRow.giveUp()', () => {
  it('records a failure without another attempt', () => {
    const row = createRow({ attempts: 4 });
    row.giveUp(a, 'unreadable');
    expect(row.failures).toEqual([{ listener: 'a', error: 'unreadable', attempt: 4, delayMs: undefined }]);
  });

  it('records one attempt for a row that was never tried', () => {
    const row = createRow();
    row.giveUp(a, 'unreadable');
    expect(row.failures[0]?.attempt).toBe(1);
  });
});

describe('the outcome of a ClaimedRow', () => {
  /** Returns the properties that tell the outcome of the row. */
  const outcomeOf = ({ isComplete, wasAttempted, hasFailed, done, remaining }: ClaimedRow) => ({
    isComplete,
    wasAttempted,
    hasFailed,
    done,
    remaining,
  });

  it('is open before a listener has run', () => {
    expect(outcomeOf(createRow())).toEqual({
      isComplete: false,
      wasAttempted: false,
      hasFailed: false,
      done: [],
      remaining: null,
    });
  });

  it('is complete when each listener has succeeded or was skipped', () => {
    const row = createRow();
    row.succeed(a);
    expect(outcomeOf(row)).toMatchObject({ isComplete: false, wasAttempted: true, done: ['a'] });
    row.skip(b);
    expect(outcomeOf(row)).toMatchObject({ isComplete: true, hasFailed: false, done: ['a', 'b'] });
    expect(row.wasHandledBy('a')).toBe(true);
    expect(row.wasHandledBy('b')).toBe(false);
    expect(row.wasHandledBy('c')).toBe(false);
  });

  it('is complete when a listener has given up, but not when one is retried', () => {
    const [dead, retried] = [createRow(), createRow()];
    for (const row of [dead, retried]) row.succeed(b);
    dead.fail(a, new NonRetryableError('gone'));
    retried.fail(a, new Error('no'));
    expect(outcomeOf(dead)).toMatchObject({ isComplete: true, hasFailed: true, done: ['b', 'a'] });
    expect(outcomeOf(retried)).toMatchObject({ isComplete: false, hasFailed: true, done: ['b'] });
    expect(retried.wasHandledBy('a')).toBe(false);
  });

  it('is complete at once when all listeners have already handled the row', () => {
    const row = createRow({ handledBy: ['a', 'b'] });
    expect(outcomeOf(row)).toMatchObject({ isComplete: true, wasAttempted: true, done: [] });
  });

  it('is not complete while a listener waits for its retry', () => {
    const row = createRow(retriesOf({ a: { attempts: 1, at: NOW + 500 } }));
    row.succeed(b);
    expect(outcomeOf(row)).toMatchObject({ isComplete: false, wasAttempted: true });
  });

  it('is not complete while a named listener of another process is left', () => {
    const row = createRow({ listeners: ['a', 'elsewhere', 'c'] }, [a, b, c]);
    row.succeed(a);
    expect(row.remaining).toEqual(['elsewhere', 'c']);
    row.succeed(c);
    expect(outcomeOf(row)).toMatchObject({ isComplete: false, wasAttempted: true, remaining: ['elsewhere'] });
  });

  it('is complete when all named listeners are done, even if others are not', () => {
    const row = createRow({ listeners: ['a', 'c'] }, [a, b, c]);
    row.succeed(a);
    row.giveUp(c, 'unreadable');
    expect(outcomeOf(row)).toMatchObject({ isComplete: true, remaining: [] });
  });
});
