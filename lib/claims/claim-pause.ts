import { backoffDelayMs, type BackoffOptions } from '../common/backoff.js';

/** The longest pause before a lost connection is replaced. */
const MAX_RECONNECT_MS = 1_000;

/**
 * The pause after claims that fail. A lost connection is replaced soon; what the server refuses is retried with growing pauses,
 * which hints do not shorten. Times are those of `performance.now()`. Owned by a `ChannelWorker`; it holds no timer.
 */
export class ClaimPause {
  private failures = 0;
  private until = 0;

  /** Whether the last claim failed. */
  get isFailing(): boolean {
    return this.failures > 0;
  }

  /** Whether hints are left to the timer at this time: the database refuses claims. */
  ignoresHints(now: number): boolean {
    return now < this.until;
  }

  /** Ends the pause for hints, and keeps the count of failures. */
  end(): void {
    this.until = 0;
  }

  noteSuccess(): void {
    this.failures = 0;
    this.until = 0;
  }

  /** Returns how many milliseconds to wait. `refusals`: the pauses of a claim that the server refused; undefined: the connection was lost. */
  noteFailure(
    now: number,
    refusals: { readonly retry: BackoffOptions | undefined; readonly pollMs: number } | undefined,
  ): number {
    this.failures++;
    const delayMs =
      refusals?.retry === undefined
        ? Math.min(MAX_RECONNECT_MS, 50 * 2 ** Math.min(this.failures, 10))
        : Math.min(backoffDelayMs(this.failures, refusals.retry), refusals.pollMs);
    if (refusals !== undefined) this.until = now + delayMs;
    return delayMs;
  }
}
