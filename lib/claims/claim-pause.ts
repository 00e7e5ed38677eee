import { backoffDelayMs, type BackoffOptions } from '../common/backoff.js';

/** The maximum pause before a lost connection is replaced. */
const MAX_RECONNECT_MS = 1_000;

/**
 * The pause after failed claims. A lost connection is replaced soon. Rejected claims are retried
 * with growing pauses, which hints do not shorten. Times are those of `performance.now()`. Owned by
 * a `ChannelWorker`; holds no timer.
 */
export class ClaimPause {
  private failures = 0;
  private until = 0;

  get isFailing(): boolean {
    return this.failures > 0;
  }

  /** Whether hints start no claim at this time, because the database rejects claims. */
  ignoresHints(now: number): boolean {
    return now < this.until;
  }

  /** Ends the pause for hints; keeps the count of failures. */
  end(): void {
    this.until = 0;
  }

  noteSuccess(): void {
    this.failures = 0;
    this.until = 0;
  }

  /**
   * Returns the milliseconds to wait. `rejection`: the pauses after a rejected claim; `undefined`
   * if the connection was lost.
   */
  noteFailure(
    now: number,
    rejection: { readonly retry: BackoffOptions | undefined; readonly pollMs: number } | undefined,
  ): number {
    this.failures++;
    const delayMs =
      rejection?.retry === undefined
        ? Math.min(MAX_RECONNECT_MS, 50 * 2 ** Math.min(this.failures, 10))
        : Math.min(backoffDelayMs(this.failures, rejection.retry), rejection.pollMs);
    if (rejection !== undefined) this.until = now + delayMs;
    return delayMs;
  }
}
