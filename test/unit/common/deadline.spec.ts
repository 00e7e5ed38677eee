import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { Watchdog, isTimedOut, settlesWithin, withDeadline } from '../../../lib/common/deadline.js';
import { PgPubSubError } from '../../../lib/common/errors.js';

beforeEach(() => {
  vi.useFakeTimers();
});
afterEach(() => {
  vi.restoreAllMocks(); // before the timers, because restoring a spy puts the fake timer back
  vi.useRealTimers();
});

const pass = (ms: number) => vi.advanceTimersByTimeAsync(ms);
const never = () => new Promise<never>(() => undefined);
const options = { ms: 1_000, what: 'the database to answer a claim' };

/** A promise that is settled by hand. */
function createDeferred<T>() {
  let settle!: { resolve: (value: T) => void; reject: (error: unknown) => void };
  const promise = new Promise<T>((resolve, reject) => (settle = { resolve, reject }));
  return { promise, ...settle };
}

/** Records the outcome of a promise and handles its error. */
function watchOutcome(promise: Promise<unknown>) {
  const outcome: { value?: unknown; error?: unknown } = {};
  promise.then(
    (value) => (outcome.value = value),
    (error: unknown) => (outcome.error = error),
  );
  return outcome;
}

describe('withDeadline()', () => {
  it('resolves with the result of the work and stops its timer', async () => {
    const { promise, resolve } = createDeferred<string>();
    const outcome = watchOutcome(withDeadline(promise, options));
    await pass(999);
    resolve('done');
    await pass(0);
    expect(outcome).toEqual({ value: 'done' });
    expect(vi.getTimerCount()).toBe(0);
  });

  it('rejects with the error of the work and stops its timer', async () => {
    const error = new Error('no');
    const outcome = watchOutcome(withDeadline(Promise.reject(error), options));
    await pass(0);
    expect(outcome.error).toBe(error);
    expect(isTimedOut(error)).toBe(false);
    expect(vi.getTimerCount()).toBe(0);
  });

  it('rejects at the deadline with a sentence that names the wait', async () => {
    const outcome = watchOutcome(withDeadline(never(), options));
    await pass(999);
    expect(outcome).toEqual({});
    await pass(1);
    expect(outcome.error).toBeInstanceOf(PgPubSubError);
    expect(outcome.error).toMatchObject({
      code: 'TIMED_OUT',
      message:
        'expected the database to answer a claim within 1000 ms, got no answer. ' +
        'Look for a dead link, a lock, or an exhausted pool.',
    });
    expect(isTimedOut(outcome.error)).toBe(true);
  });

  it('calls onLate once, before it rejects', async () => {
    const steps: string[] = [];
    const outcome = watchOutcome(
      withDeadline(never(), { ...options, onLate: () => steps.push(`late ${Object.keys(outcome).length}`) }),
    );
    await pass(5_000);
    expect(steps).toEqual(['late 0']);
    expect(isTimedOut(outcome.error)).toBe(true);
  });

  it('does not call onLate for work that is in time', async () => {
    const onLate = vi.fn();
    watchOutcome(withDeadline(Promise.resolve(), { ...options, onLate }));
    await pass(5_000);
    expect(onLate).not.toHaveBeenCalled();
  });

  it('ignores the outcome of late work', async () => {
    const [resolved, rejected] = [createDeferred<string>(), createDeferred<string>()];
    const outcomes = [resolved, rejected].map(({ promise }) => watchOutcome(withDeadline(promise, options)));
    await pass(1_000);
    resolved.resolve('late');
    rejected.reject(new Error('late'));
    await pass(0);
    for (const outcome of outcomes) expect(isTimedOut(outcome.error)).toBe(true);
  });
});

describe('settlesWithin()', () => {
  it('resolves with true for work that resolves or rejects in time', async () => {
    await expect(settlesWithin(Promise.resolve('done'), 1_000)).resolves.toBe(true);
    await expect(settlesWithin(Promise.reject(new Error('no')), 1_000)).resolves.toBe(true);
    expect(vi.getTimerCount()).toBe(0);
  });

  it('resolves with false for work that is late, and never rejects', async () => {
    const { promise, reject } = createDeferred<void>();
    const outcome = watchOutcome(settlesWithin(promise, 1_000));
    await pass(999);
    expect(outcome).toEqual({});
    await pass(1);
    expect(outcome).toEqual({ value: false });
    reject(new Error('late'));
    await pass(0);
    expect(outcome).toEqual({ value: false });
  });

  it('does not confuse a TIMED_OUT error of the work with its own deadline', async () => {
    const error = new PgPubSubError('TIMED_OUT', 'expected LISTEN within 5000 ms');
    await expect(settlesWithin(Promise.reject(error), 1_000)).resolves.toBe(true);
  });

  it('does not confuse a deadline of the work with its own', async () => {
    const outcome = watchOutcome(settlesWithin(withDeadline(never(), { ms: 10, what: 'x' }), 1_000));
    await pass(10);
    expect(outcome).toEqual({ value: true });
  });
});

describe('isTimedOut()', () => {
  it.each([
    new PgPubSubError('TIMED_OUT', 'expected LISTEN within 5000 ms'),
    new Error('timeout'),
    { code: 'TIMED_OUT' },
    'TIMED_OUT',
    null,
    undefined,
  ])('returns false for %o', (error) => {
    expect(isTimedOut(error)).toBe(false);
  });
});

describe('Watchdog', () => {
  /** A call that counts how often it timed out. */
  function createCall(name = 'call') {
    const timeOut = vi.fn(() => new Error(`${name} is late`));
    const { promise, resolve, reject } = createDeferred<string>();
    return { promise, resolve, reject, timeOut };
  }

  it('settles with the outcome of the call', async () => {
    const watchdog = new Watchdog();
    const [good, bad] = [createCall(), createCall()];
    const first = watchOutcome(watchdog.watch(good.promise, 1_000, good));
    good.resolve('done');
    await pass(0);
    const second = watchOutcome(watchdog.watch(bad.promise, 1_000, bad));
    bad.reject('no');
    await pass(5_000);
    expect([first, second]).toEqual([{ value: 'done' }, { error: 'no' }]);
    expect(good.timeOut).not.toHaveBeenCalled();
    expect(bad.timeOut).not.toHaveBeenCalled();
  });

  it('rejects a late call with the error of its timeOut()', async () => {
    const call = createCall();
    const outcome = watchOutcome(new Watchdog().watch(call.promise, 1_000, call));
    await pass(999);
    expect(outcome).toEqual({});
    await pass(1);
    expect(outcome).toEqual({ error: new Error('call is late') });
    expect(call.timeOut).toHaveBeenCalledTimes(1);
  });

  it('limits many calls with one timer, each from its own start', async () => {
    const watchdog = new Watchdog();
    const setTimer = vi.spyOn(globalThis, 'setTimeout');
    for (let count = 0; count < 100; count++) {
      const call = createCall();
      const outcome = watchOutcome(watchdog.watch(call.promise, 1_000, call));
      await pass(9);
      call.resolve('done');
      await pass(0);
      expect(outcome).toEqual({ value: 'done' });
      expect(vi.getTimerCount()).toBe(1);
    }
    expect(setTimer).toHaveBeenCalledTimes(1);
    setTimer.mockRestore();
    const last = createCall('the last');
    const outcome = watchOutcome(watchdog.watch(last.promise, 1_000, last));
    await pass(999);
    expect(outcome).toEqual({});
    await pass(1);
    expect(outcome).toEqual({ error: new Error('the last is late') });
  });

  it('limits calls that overlap, each from its own start and by its own limit', async () => {
    const watchdog = new Watchdog();
    const calls = [1_000, 300, 1_000, 600].map((ms) => ({ ms, call: createCall(`${ms}`) }));
    const outcomes: ReturnType<typeof watchOutcome>[] = [];
    for (const { ms, call } of calls) {
      outcomes.push(watchOutcome(watchdog.watch(call.promise, ms, call)));
      await pass(100);
    }
    const late = () => outcomes.map((outcome) => 'error' in outcome);
    expect(vi.getTimerCount()).toBe(1);
    expect(late()).toEqual([false, true, false, false]); // at 400 ms
    await pass(499);
    expect(late()).toEqual([false, true, false, false]);
    await pass(1);
    expect(late()).toEqual([false, true, false, true]); // at 900 ms
    await pass(100);
    expect(late()).toEqual([true, true, false, true]); // at 1,000 ms
    calls[2]?.call.resolve('done');
    await pass(5_000);
    expect(outcomes[2]).toEqual({ value: 'done' });
    expect(vi.getTimerCount()).toBe(0);
  });

  it('limits a call after a late one', async () => {
    const watchdog = new Watchdog();
    const [late, next] = [createCall(), createCall('the next')];
    watchOutcome(watchdog.watch(late.promise, 1_000, late));
    await pass(1_000);
    const outcome = watchOutcome(watchdog.watch(next.promise, 1_000, next));
    await pass(1_000);
    expect(outcome).toEqual({ error: new Error('the next is late') });
    expect(late.timeOut).toHaveBeenCalledTimes(1);
  });

  it('ignores the outcome of a late call', async () => {
    const watchdog = new Watchdog();
    const call = createCall();
    const outcome = watchOutcome(watchdog.watch(call.promise, 1_000, call));
    await pass(1_000);
    call.resolve('done after all');
    await pass(5_000);
    expect(outcome).toEqual({ error: new Error('call is late') });
    expect(call.timeOut).toHaveBeenCalledTimes(1);
  });

  it('still limits the next call when a late one settles', async () => {
    const watchdog = new Watchdog();
    const [late, next] = [createCall(), createCall('the next')];
    watchOutcome(watchdog.watch(late.promise, 1_000, late));
    await pass(1_000);
    const outcome = watchOutcome(watchdog.watch(next.promise, 1_000, next));
    late.resolve('done after all');
    await pass(1_000);
    expect(outcome).toEqual({ error: new Error('the next is late') });
  });

  it.each([
    ['shorter', 1_000, 200],
    ['longer', 200, 1_000],
  ])('limits a call with a %s limit than the call before', async (_which, firstMs, secondMs) => {
    const watchdog = new Watchdog();
    const [first, second] = [createCall(), createCall('the second')];
    watchOutcome(watchdog.watch(first.promise, firstMs, first));
    first.resolve('done');
    await pass(100);
    const outcome = watchOutcome(watchdog.watch(second.promise, secondMs, second));
    expect(vi.getTimerCount()).toBe(1);
    await pass(secondMs - 1);
    expect(outcome).toEqual({});
    await pass(1);
    expect(outcome).toEqual({ error: new Error('the second is late') });
  });

  it('has neither a timer nor a deadline after stop()', async () => {
    const watchdog = new Watchdog();
    const call = createCall();
    const outcome = watchOutcome(watchdog.watch(call.promise, 1_000, call));
    watchdog.stop();
    expect(vi.getTimerCount()).toBe(0);
    await pass(5_000);
    expect(outcome).toEqual({});
    expect(call.timeOut).not.toHaveBeenCalled();
    expect(() => watchdog.stop()).not.toThrow();
  });

  it('starts a new timer after stop()', async () => {
    const watchdog = new Watchdog();
    const setTimer = vi.spyOn(globalThis, 'setTimeout');
    const [first, second] = [createCall(), createCall('the second')];
    watchOutcome(watchdog.watch(first.promise, 1_000, first));
    watchdog.stop();
    const outcome = watchOutcome(watchdog.watch(second.promise, 1_000, second));
    await pass(1_000);
    expect(outcome).toEqual({ error: new Error('the second is late') });
    expect(first.timeOut).not.toHaveBeenCalled();
    expect(setTimer).toHaveBeenCalledTimes(2); // a timer that was cleared cannot be refreshed
    setTimer.mockRestore();
  });
});
