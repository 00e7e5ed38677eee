export interface BackoffOptions {
  readonly minDelayMs: number;
  readonly maxDelayMs: number;
}

/**
 * How long to wait before attempt `attempt` (1 is the first): a random time up to `minDelayMs`, doubled with each
 * attempt, never above `maxDelayMs`. The full range is used ("full jitter"), so that processes that lost the same
 * server do not come back together.
 */
export function backoffDelayMs(
  attempt: number,
  { minDelayMs, maxDelayMs }: BackoffOptions,
  random = Math.random,
): number {
  const doubled = minDelayMs * 2 ** Math.min(attempt - 1, 52); // beyond 2^53 whole numbers get lost
  return Math.round(random() * Math.min(maxDelayMs, doubled));
}
