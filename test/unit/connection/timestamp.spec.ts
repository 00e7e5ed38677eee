import { describe, expect, it } from 'vitest';
import { datesOf } from '../../../lib/connection/timestamp.js';

const HOUR_MS = 3_600_000;
const NOON_MS = Date.UTC(2026, 0, 1, 12);
const from = { wallMs: NOON_MS, ms: 1_000 };

/** Start and end in milliseconds after noon, when the system clock shows `wallMs` 5 s later. */
function spanUntil(wallMs: number, ms = from.ms + 5_000) {
  const dates = datesOf(from, { wallMs, ms });
  return [dates.from.getTime() - NOON_MS, dates.to.getTime() - NOON_MS];
}

describe('datesOf()', () => {
  it('returns the times of the system clock', () => {
    expect(spanUntil(NOON_MS + 5_000)).toEqual([0, 5_000]);
  });

  it('follows the monotonic clock when the system clock was set back', () => {
    expect(spanUntil(NOON_MS + 5_000 - HOUR_MS)).toEqual([-HOUR_MS, 5_000 - HOUR_MS]);
  });

  it('keeps the start when the system clock was set forward', () => {
    expect(spanUntil(NOON_MS + 5_000 + HOUR_MS)).toEqual([0, 5_000 + HOUR_MS]);
  });

  it('includes the time of a suspended machine, during which the monotonic clock stood still', () => {
    expect(spanUntil(NOON_MS + HOUR_MS, from.ms + 1)).toEqual([0, HOUR_MS]);
  });

  it('never returns an end before the start', () => {
    expect(spanUntil(NOON_MS - HOUR_MS, from.ms)).toEqual([-HOUR_MS, -HOUR_MS]);
  });
});
