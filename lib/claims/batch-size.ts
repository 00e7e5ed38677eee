import type { ClaimCursor } from './claim.sql.js';

/** The time that a row is assumed to take before any has been handled: the first claim is small. */
const UNKNOWN_MS = 25;

/** The resolution of the clock. */
const LEAST_MS = 0.001;

/** How often a saturated channel is read from its start, where rows may stand that were committed late. */
const FULL_SCAN_MS = 1_000;
/** The least pause between two such reads, as a multiple of their duration: they pass over all entries of handled rows. */
const FULL_SCAN_SHARE = 20;

/** The rows that a claim has read. */
export interface Claimed {
  readonly wanted: number;
  /** The number of rows that were read. */
  readonly size: number;
  readonly last: ClaimCursor | undefined;
  readonly from: ClaimCursor | undefined;
  readonly tookMs: number;
}

/** Decides how large the next claim of a channel is, and where it begins. Owned by the channel's worker. */
export class AdaptiveBatchSize {
  private rowMs = UNKNOWN_MS;
  private cursor: ClaimCursor | undefined;
  private nextFullScan = 0;
  private claimMs = 0;
  /**
   * Whether handlers take longer than claiming: several claims at once pay off. Those of handlers that do next to nothing
   * would only pass over each other's rows (100 rows cost the server 11 µs each with four claims, 7.7 with one).
   */
  isSlow = true;

  constructor(private readonly limits: { readonly maxSize: number; readonly maxTimeMs: number }) {}

  /** The number of rows that are likely to be handled in time. */
  get size(): number {
    return Math.max(
      1,
      Math.min(this.limits.maxSize, Math.floor(this.limits.maxTimeMs / Math.max(this.rowMs, LEAST_MS))),
    );
  }

  /** The place behind the last claim, as long as claims are full; `undefined`: from the start. */
  nextCursor(now: number): ClaimCursor | undefined {
    return now >= this.nextFullScan ? undefined : this.cursor;
  }

  claimed({ wanted, size, last, from, tookMs }: Claimed, now: number): void {
    this.claimMs = tookMs;
    this.cursor = size < wanted ? undefined : last;
    if (from === undefined) this.nextFullScan = now + Math.max(FULL_SCAN_MS, tookMs * FULL_SCAN_SHARE);
  }

  /** Adapts to slower rows slowly, and to faster ones at once: claims that are too small cost more than late ones. */
  handled(rows: number, tookMs: number, handlingMs: number): void {
    if (rows === 0) return;
    this.isSlow = handlingMs > this.claimMs + (tookMs - handlingMs);
    const current = tookMs / rows;
    this.rowMs = current < this.rowMs ? current : (this.rowMs + current) / 2;
  }
}
