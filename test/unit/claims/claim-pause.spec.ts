import { describe, expect, it } from 'vitest';
import { ClaimPause } from '../../../lib/claims/claim-pause.js';

const refused = { retry: { minDelayMs: 1_000, maxDelayMs: 1_000 }, pollMs: 500 };

describe('the pause after failed claims', () => {
  it('doubles after each lost connection, up to one second', () => {
    const pause = new ClaimPause();
    const delays = Array.from({ length: 7 }, () => pause.noteFailure(0, undefined));
    expect(delays).toEqual([100, 200, 400, 800, 1_000, 1_000, 1_000]);
  });

  it('lets hints through after a lost connection', () => {
    const pause = new ClaimPause();
    pause.noteFailure(10, undefined);
    expect([pause.isFailing, pause.ignoresHints(10)]).toEqual([true, false]);
  });

  it('ignores hints until it is over after a rejected claim, and is at most as long as a poll interval', () => {
    const pause = new ClaimPause();
    const delayMs = pause.noteFailure(10, refused);
    expect(delayMs).toBeLessThanOrEqual(500);
    expect([pause.ignoresHints(10 + delayMs - 1), pause.ignoresHints(10 + delayMs)]).toEqual([
      delayMs > 0,
      false,
    ]);
  });

  it('ignores hints after a rejected claim without listeners, and is as long as after a lost connection', () => {
    const pause = new ClaimPause();
    expect(pause.noteFailure(0, { retry: undefined, pollMs: 500 })).toBe(100);
    expect(pause.ignoresHints(99)).toBe(true);
  });

  it('lets hints through after end(), and is reset by a successful claim', () => {
    const pause = new ClaimPause();
    pause.noteFailure(0, { retry: undefined, pollMs: 500 });
    pause.end();
    expect([pause.isFailing, pause.ignoresHints(0)]).toEqual([true, false]);
    pause.noteFailure(0, undefined);
    pause.noteSuccess();
    expect([pause.isFailing, pause.ignoresHints(0)]).toEqual([false, false]);
    expect(pause.noteFailure(0, undefined)).toBe(100);
  });
});
