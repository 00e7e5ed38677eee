export interface BackoffOptions {
  readonly minDelayMs: number;
  readonly maxDelayMs: number;
}

/**
 * Returns the pause before attempt `attempt` (from 1), in milliseconds: random between 0 and
 * `minDelayMs`, doubled with each attempt and limited to `maxDelayMs`. Full jitter keeps processes
 * that lost the same server from reconnecting at the same moment.
 */
export function backoffDelayMs(
  attempt: number,
  { minDelayMs, maxDelayMs }: BackoffOptions,
  random = Math.random,
): number {
  const doubled = minDelayMs * 2 ** Math.min(attempt - 1, 52); // integers beyond 2^53 are not exact
  return Math.round(random() * Math.min(maxDelayMs, doubled));
}
