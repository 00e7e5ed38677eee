import type { ClaimCursor } from './claim.sql.js';

/** The assumed time per row before any was handled: the first claim is small. */
const UNKNOWN_MS = 25;

const LEAST_MS = 0.001;

/** The interval at which a saturated channel is read from its start, for rows committed late. */
const FULL_SCAN_MS = 1_000;
/** The minimum pause between such reads, in multiples of their duration: they skip handled rows. */
const FULL_SCAN_SHARE = 20;

export interface Claimed {
  readonly wanted: number;
  readonly size: number;
  readonly last: ClaimCursor | undefined;
  readonly from: ClaimCursor | undefined;
  readonly tookMs: number;
}

/** Decides the size and the start of a channel's next claim. Owned by the channel's worker. */
export class AdaptiveBatchSize {
  private rowMs = UNKNOWN_MS;
  private cursor: ClaimCursor | undefined;
  private nextFullScan = 0;
  private claimMs = 0;
  /**
   * Whether handlers take longer than claiming, so that concurrent claims pay off. Claims with fast
   * handlers would only skip each other's rows (100 rows cost the server 11 µs each with four
   * claims, 7.7 with one).
   */
  isSlow = true;

  constructor(private readonly limits: { readonly maxSize: number; readonly maxTimeMs: number }) {}

  get size(): number {
    return Math.max(
      1,
      Math.min(this.limits.maxSize, Math.floor(this.limits.maxTimeMs / Math.max(this.rowMs, LEAST_MS))),
    );
  }

  /** The position after the last claim while claims are full; `undefined`: the start. */
  nextCursor(now: number): ClaimCursor | undefined {
    return now >= this.nextFullScan ? undefined : this.cursor;
  }

  claimed({ wanted, size, last, from, tookMs }: Claimed, now: number): void {
    this.claimMs = tookMs;
    this.cursor = size < wanted ? undefined : last;
    if (from === undefined) this.nextFullScan = now + Math.max(FULL_SCAN_MS, tookMs * FULL_SCAN_SHARE);
  }

  /**
   * Adapts slowly to slower rows, at once to faster ones: small claims cost more than late ones.
   */
  handled(rows: number, tookMs: number, handlingMs: number): void {
    if (rows === 0) return;
    this.isSlow = handlingMs > this.claimMs + (tookMs - handlingMs);
    const current = tookMs / rows;
    this.rowMs = current < this.rowMs ? current : (this.rowMs + current) / 2;
  }
}
