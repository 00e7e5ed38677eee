import type { ClaimCursor } from './claim.sql.js';
import type { StoredRow } from './stored-row.js';

/** What a row is assumed to take before any has been handled: the first claim is small. */
const UNKNOWN_MS = 25;

/** How often a saturated channel is read from its begin, where rows may stand that were committed late. */
const FULL_SCAN_MS = 1_000;
/** …or so many times what that took: entries of handled rows that vacuum may not remove are all passed over. */
const FULL_SCAN_SHARE = 20;

/** How large the next claim of a channel is, and where it begins. Owned by its worker. */
export class ClaimPace {
  private rowMs = UNKNOWN_MS;
  private cursor: ClaimCursor | undefined;
  private nextFullScan = 0;
  private claimMs = 0;
  /**
   * Handlers take longer than claiming: several claims at once pay off. Those of handlers that do next to nothing would
   * only pass over each other's rows (100 rows cost the server 11 µs each with four claims, 7.7 with one).
   */
  isSlow = true;

  constructor(private readonly limits: { readonly maxSize: number; readonly maxTimeMs: number }) {}

  /** As many rows as are likely to be handled in time. */
  get size(): number {
    return Math.max(1, Math.min(this.limits.maxSize, Math.floor(this.limits.maxTimeMs / this.rowMs)));
  }

  /** Behind the last claim, as long as claims are full; `undefined`: from the begin. */
  nextCursor(now: number): ClaimCursor | undefined {
    return now >= this.nextFullScan ? undefined : this.cursor;
  }

  /** A claim has brought these rows, when `wanted` were asked for, in so many milliseconds. */
  claimed(rows: readonly StoredRow[], wanted: number, from: ClaimCursor | undefined, tookMs: number): void {
    this.claimMs = tookMs;
    const last = rows.at(-1);
    this.cursor = last === undefined || rows.length < wanted ? undefined : last;
    if (from === undefined)
      this.nextFullScan = performance.now() + Math.max(FULL_SCAN_MS, tookMs * FULL_SCAN_SHARE);
  }

  /** Slower is believed slowly, faster at once: claims that are too small cost more than those that end early. */
  handled(rows: number, tookMs: number, handlingMs: number): void {
    if (rows === 0) return;
    this.isSlow = handlingMs > this.claimMs + (tookMs - handlingMs);
    const current = tookMs / rows;
    this.rowMs = current < this.rowMs ? current : (this.rowMs + current) / 2;
  }
}
