import { describe, expect, it } from 'vitest';
import { backoffDelayMs } from '../../../lib/common/backoff.js';

const options = { minDelayMs: 100, maxDelayMs: 30_000 };
const longest = () => 1;

describe('backoffDelayMs()', () => {
  it('returns at most the shortest pause for the first attempt', () => {
    expect(backoffDelayMs(1, options, longest)).toBe(100);
  });

  it('doubles the bound with each attempt, up to the longest pause', () => {
    const bounds = Array.from({ length: 11 }, (_, index) => backoffDelayMs(index + 1, options, longest));

    expect(bounds).toEqual([100, 200, 400, 800, 1_600, 3_200, 6_400, 12_800, 25_600, 30_000, 30_000]);
  });

  it('uses the full range below the bound, in whole milliseconds', () => {
    expect(backoffDelayMs(3, options, () => 0)).toBe(0);
    expect(backoffDelayMs(3, options, () => 0.5)).toBe(200);
    expect(backoffDelayMs(1, { minDelayMs: 5, maxDelayMs: 5 }, () => 0.3333)).toBe(2);
  });

  it.each([54, 1_000, 1_100, Number.MAX_SAFE_INTEGER])(
    'stays within the longest pause for attempt %d',
    (attempt) => {
      expect(backoffDelayMs(attempt, options, longest)).toBe(30_000);
      expect(backoffDelayMs(attempt, options, () => 0)).toBe(0);
    },
  );

  it.each([1, 2, 53, 54, 1_100, Number.MAX_VALUE])('does not overflow for attempt %d', (attempt) => {
    const longestTimer = 2_147_483_647;
    const delay = backoffDelayMs(attempt, { minDelayMs: longestTimer, maxDelayMs: longestTimer }, longest);
    expect(delay).toBe(longestTimer);
  });

  it('spreads the delays evenly over the range', () => {
    const quarters = [0, 0, 0, 0];
    for (let step = 0; step < 1_000; step++) {
      const delay = backoffDelayMs(20, options, () => step / 1_000);
      const quarter = Math.floor((delay * 4) / options.maxDelayMs);
      quarters[quarter] = (quarters[quarter] ?? 0) + 1;
    }
    expect(quarters).toEqual([250, 250, 250, 250]);
  });

  it('returns random delays within the bounds by default', () => {
    const delays = Array.from({ length: 200 }, () => backoffDelayMs(20, options));

    expect(Math.min(...delays)).toBeGreaterThanOrEqual(0);
    expect(Math.max(...delays)).toBeLessThanOrEqual(30_000);
    expect(new Set(delays).size).toBeGreaterThan(100);
  });
});
