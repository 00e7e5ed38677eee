import { describe, expect, it } from 'vitest';
import { ClaimPause } from '../../../lib/claims/claim-pause.js';

const refused = { retry: { minDelayMs: 1_000, maxDelayMs: 1_000 }, pollMs: 500 };

describe('the pause after claims that fail', () => {
  it('doubles after each lost connection, up to a second', () => {
    const pause = new ClaimPause();
    const delays = Array.from({ length: 7 }, () => pause.noteFailure(0, undefined));
    expect(delays).toEqual([100, 200, 400, 800, 1_000, 1_000, 1_000]);
  });

  it('does not hold back hints after a lost connection', () => {
    const pause = new ClaimPause();
    pause.noteFailure(10, undefined);
    expect([pause.isFailing, pause.ignoresHints(10)]).toEqual([true, false]);
  });

  it('holds back hints until it has passed after a refusal, and is no longer than a poll', () => {
    const pause = new ClaimPause();
    const delayMs = pause.noteFailure(10, refused);
    expect(delayMs).toBeLessThanOrEqual(500);
    expect([pause.ignoresHints(10 + delayMs - 1), pause.ignoresHints(10 + delayMs)]).toEqual([
      delayMs > 0,
      false,
    ]);
  });

  it('is as after a lost connection without listeners, and holds back hints', () => {
    const pause = new ClaimPause();
    expect(pause.noteFailure(0, { retry: undefined, pollMs: 500 })).toBe(100);
    expect(pause.ignoresHints(99)).toBe(true);
  });

  it('ends for hints, and with the first success', () => {
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
