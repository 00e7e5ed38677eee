/** A point in time: the system clock has the date, and may be set; the other measures durations. */
export interface Timestamp {
  readonly wallMs: number;
  /** Milliseconds of `performance.now()`. */
  readonly ms: number;
}

export const now = (): Timestamp => ({ wallMs: Date.now(), ms: performance.now() });

/** Returns the milliseconds since a moment, independent of the system clock. */
export const msSince = ({ ms }: Timestamp): number => performance.now() - ms;

export const dateOf = ({ wallMs }: Timestamp): Date => new Date(wallMs);

/**
 * Returns a period as dates. The end is the time of the system clock. The start is the earlier one
 * of two: that of the system clock, which may have been set back meanwhile, and that of the
 * monotonic clock, which stops while a machine is suspended. The start is never after the end.
 */
export function datesOf(from: Timestamp, to: Timestamp): { readonly from: Date; readonly to: Date } {
  const fromMs = Math.min(from.wallMs, to.wallMs - (to.ms - from.ms));
  return { from: new Date(Math.min(fromMs, to.wallMs)), to: new Date(to.wallMs) };
}
