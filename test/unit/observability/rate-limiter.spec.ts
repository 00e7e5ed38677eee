import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { RateLimiter } from '../../../lib/observability/rate-limiter.js';

describe('RateLimiter', () => {
  beforeEach(() => vi.useFakeTimers());
  afterEach(() => vi.useRealTimers());

  /** A limiter and its output: the lines with their delays. */
  const createLimiter = () => {
    const limiter = new RateLimiter();
    const written: string[] = [];
    const limit = (kind: string, line: string) =>
      limiter.limit(kind, (delay) =>
        written.push(delay ? `${line}, ${delay.ageMs} ms ago, and ${delay.suppressed} more` : line),
      );
    return { limiter, written, limit };
  };

  it('writes the first line of a kind at once and holds back its repetitions', () => {
    const { written, limit } = createLimiter();
    for (const line of ['first', 'second', 'third']) limit('failed', line);

    expect(written).toEqual(['first']);
  });

  it('writes the newest line after ten seconds with the number of others', () => {
    const { written, limit } = createLimiter();
    for (const line of ['first', 'second', 'third', 'fourth']) limit('failed', line);
    vi.advanceTimersByTime(9_999);
    expect(written).toEqual(['first']);

    vi.advanceTimersByTime(1);
    expect(written).toEqual(['first', 'fourth, 10000 ms ago, and 2 more']);
  });

  it('writes nothing more without a repetition', () => {
    const { written, limit } = createLimiter();
    limit('failed', 'first');
    vi.advanceTimersByTime(60_000);

    expect(written).toEqual(['first']);
    expect(vi.getTimerCount()).toBe(0);
  });

  it('writes at most one line within ten seconds', () => {
    const { limiter } = createLimiter();
    const times: number[] = [];
    for (let second = 0; second < 60; second++) {
      limiter.limit('failed', () => times.push(performance.now()));
      vi.advanceTimersByTime(1_000);
    }

    const [began = 0] = times;
    expect(times.map((time) => time - began)).toEqual([0, 10_000, 20_000, 30_000, 40_000, 50_000, 60_000]);
  });

  it('counts again from zero after each line, and gives the age of the newest one', () => {
    const { written, limit } = createLimiter();
    for (const line of ['first', 'second']) limit('failed', line);
    vi.advanceTimersByTime(10_000);
    for (const line of ['third', 'fourth']) limit('failed', line);
    vi.advanceTimersByTime(3_000);
    limit('failed', 'fifth');
    vi.advanceTimersByTime(60_000);

    expect(written).toEqual(['first', 'second, 10000 ms ago, and 0 more', 'fifth, 7000 ms ago, and 2 more']);
    expect(vi.getTimerCount()).toBe(0);
  });

  it('writes held back lines once on flush(), and keeps limiting', () => {
    const { limiter, written, limit } = createLimiter();
    for (const line of ['first', 'second', 'third']) limit('failed', line);
    limit('dropped', 'other');
    vi.advanceTimersByTime(2_000);
    limiter.flush();
    limiter.flush();
    expect(written).toEqual(['first', 'other', 'third, 2000 ms ago, and 1 more']);

    limit('failed', 'fourth');
    limit('dropped', 'another');
    vi.advanceTimersByTime(8_000);
    expect(written.slice(3)).toEqual(['another, 8000 ms ago, and 0 more']);
    vi.advanceTimersByTime(2_000);
    expect(written.slice(4)).toEqual(['fourth, 10000 ms ago, and 0 more']);
  });

  it('writes at once again after ten seconds', () => {
    const { written, limit } = createLimiter();
    limit('failed', 'first');
    vi.advanceTimersByTime(10_000);
    limit('failed', 'second');

    expect(written).toEqual(['first', 'second']);
  });

  it('counts each kind separately', () => {
    const { written, limit } = createLimiter();
    limit('failed', 'one');
    limit('dropped', 'two');
    limit('failed', 'three');
    vi.advanceTimersByTime(10_000);

    expect(written).toEqual(['one', 'two', 'three, 10000 ms ago, and 0 more']);
  });

  it('distinguishes a hundred kinds and counts the others together', () => {
    const { written, limit } = createLimiter();
    for (let kind = 1; kind <= 1_000; kind++) limit(`rejected room-${kind}`, `room ${kind}`);
    expect(written).toHaveLength(101);

    limit('rejected room-1', 'room 1 again');
    vi.advanceTimersByTime(10_000);
    expect(written.slice(101)).toEqual([
      'room 1 again, 10000 ms ago, and 0 more',
      'room 1000, 10000 ms ago, and 898 more',
    ]);
  });

  it('does not keep the process alive', () => {
    vi.useRealTimers();
    const unref = vi.spyOn(Object.getPrototypeOf(setTimeout(() => undefined, 0)) as NodeJS.Timeout, 'unref');
    const { limiter, limit } = createLimiter();
    for (const line of ['first', 'second']) limit('failed', line);
    expect(unref).toHaveBeenCalledTimes(1);

    limiter.flush(); // the next window
    expect(unref).toHaveBeenCalledTimes(2);
    limiter.close();
    unref.mockRestore();
  });

  it('writes held back lines on close(), and then has no timer and no limit', () => {
    const { limiter, written, limit } = createLimiter();
    for (const line of ['first', 'second', 'third']) limit('failed', line);
    limit('dropped', 'other');
    limiter.close();
    expect(written).toEqual(['first', 'other', 'third, 0 ms ago, and 1 more']);

    for (const line of ['late', 'later']) limit('failed', line);
    expect(written.slice(3)).toEqual(['late', 'later']);
    expect(vi.getTimerCount()).toBe(0);
  });
});
