import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { NextWakeUp } from '../../../lib/claims/next-wake-up.js';

describe('NextWakeUp', () => {
  beforeEach(() => {
    vi.useFakeTimers();
  });
  afterEach(() => {
    vi.useRealTimers();
  });

  /** Returns a wake-up and the times at which it fired. */
  function setUp() {
    const started = performance.now();
    const wokenAt: number[] = [];
    const nextWakeUp = new NextWakeUp(() => wokenAt.push(performance.now() - started));
    return { nextWakeUp, wokenAt };
  }

  it('fires once, at its time', () => {
    const { nextWakeUp, wokenAt } = setUp();
    nextWakeUp.in(1_000);
    vi.advanceTimersByTime(999);
    expect(wokenAt).toEqual([]);
    vi.advanceTimersByTime(10_000);
    expect(wokenAt).toEqual([1_000]);
    expect(vi.getTimerCount()).toBe(0);
  });

  it('fires only at the earliest of the requested times', () => {
    const { nextWakeUp, wokenAt } = setUp();
    nextWakeUp.in(1_000);
    nextWakeUp.in(300);
    nextWakeUp.in(500);
    expect(vi.getTimerCount()).toBe(1);
    vi.advanceTimersByTime(10_000);
    expect(wokenAt).toEqual([300]);
  });

  it('compares points in time, not delays', () => {
    const { nextWakeUp, wokenAt } = setUp();
    nextWakeUp.in(1_000);
    vi.advanceTimersByTime(800);
    nextWakeUp.in(300);
    vi.advanceTimersByTime(10_000);
    expect(wokenAt).toEqual([1_000]);
  });

  it('ignores an infinite delay', () => {
    const { nextWakeUp } = setUp();
    nextWakeUp.in(Infinity);
    expect(vi.getTimerCount()).toBe(0);
  });

  it('can be set again after it fired, also to a later time', () => {
    const { nextWakeUp, wokenAt } = setUp();
    nextWakeUp.in(100);
    vi.advanceTimersByTime(100);
    nextWakeUp.in(5_000);
    vi.advanceTimersByTime(10_000);
    expect(wokenAt).toEqual([100, 5_100]);
  });

  it('can be set again while it fires', () => {
    const times: number[] = [];
    const started = performance.now();
    const nextWakeUp: NextWakeUp = new NextWakeUp(() => {
      times.push(performance.now() - started);
      if (times.length < 3) nextWakeUp.in(1_000);
    });
    nextWakeUp.in(10);
    vi.advanceTimersByTime(10_000);
    expect(times).toEqual([10, 1_010, 2_010]);
  });

  it('forgets its time when it is cleared', () => {
    const { nextWakeUp, wokenAt } = setUp();
    nextWakeUp.in(100);
    nextWakeUp.clear();
    expect(vi.getTimerCount()).toBe(0);
    nextWakeUp.in(2_000);
    vi.advanceTimersByTime(10_000);
    expect(wokenAt).toEqual([2_000]);
  });

  it('can be cleared before it was set', () => {
    const { nextWakeUp } = setUp();
    expect(() => nextWakeUp.clear()).not.toThrow();
  });
});
