import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { RateLimiter } from '../../../lib/observability/rate-limiter.js';

describe('RateLimiter', () => {
  beforeEach(() => vi.useFakeTimers());
  afterEach(() => vi.useRealTimers());

  /** What is written, as `line (held back)`. */
  const createLimiter = () => {
    const limiter = new RateLimiter();
    const written: string[] = [];
    const limit = (kind: string, line: string) =>
      limiter.limit(kind, (suppressed) => written.push(`${line} (${suppressed})`));
    return { limiter, written, limit };
  };

  it('writes the first line of a kind at once, and holds back its repetitions', () => {
    const { written, limit } = createLimiter();
    for (const line of ['first', 'second', 'third']) limit('failed', line);

    expect(written).toEqual(['first (0)']);
  });

  it('writes the newest line when ten seconds are over, and how many more there were', () => {
    const { written, limit } = createLimiter();
    for (const line of ['first', 'second', 'third', 'fourth']) limit('failed', line);
    vi.advanceTimersByTime(9_999);
    expect(written).toEqual(['first (0)']);

    vi.advanceTimersByTime(1);
    expect(written).toEqual(['first (0)', 'fourth (2)']);
  });

  it('writes nothing more when there was no repetition', () => {
    const { written, limit } = createLimiter();
    limit('failed', 'first');
    vi.advanceTimersByTime(60_000);

    expect(written).toEqual(['first (0)']);
    expect(vi.getTimerCount()).toBe(0);
  });

  it('writes at once again when the ten seconds are over', () => {
    const { written, limit } = createLimiter();
    limit('failed', 'first');
    vi.advanceTimersByTime(10_000);
    limit('failed', 'second');

    expect(written).toEqual(['first (0)', 'second (0)']);
  });

  it('counts each kind by itself', () => {
    const { written, limit } = createLimiter();
    limit('failed', 'one');
    limit('dropped', 'two');
    limit('failed', 'three');
    vi.advanceTimersByTime(10_000);

    expect(written).toEqual(['one (0)', 'two (0)', 'three (0)']);
  });

  it('tells a hundred kinds apart, and counts the rest together', () => {
    const { written, limit } = createLimiter();
    for (let kind = 1; kind <= 1_000; kind++) limit(`rejected room-${kind}`, `room ${kind}`);
    expect(written).toHaveLength(101);

    limit('rejected room-1', 'room 1 again');
    vi.advanceTimersByTime(10_000);
    expect(written.slice(101)).toEqual(['room 1 again (0)', 'room 1000 (898)']);
    expect(vi.getTimerCount()).toBe(0);
  });

  it('keeps the process alive for nobody', () => {
    vi.useRealTimers();
    const unref = vi.spyOn(Object.getPrototypeOf(setTimeout(() => undefined, 0)) as NodeJS.Timeout, 'unref');
    const { limiter, limit } = createLimiter();
    limit('failed', 'first');

    expect(unref).toHaveBeenCalledOnce();
    limiter.close();
    unref.mockRestore();
  });

  it('leaves no timer when it is closed', () => {
    const { limiter, written, limit } = createLimiter();
    for (const kind of ['failed', 'failed', 'dropped']) limit(kind, kind);
    limiter.close();
    expect(vi.getTimerCount()).toBe(0);

    const atTheEnd = [...written];
    vi.advanceTimersByTime(60_000);
    expect(written).toEqual(atTheEnd);
  });
});
