import { FIRST_KEY, FIRST_UNKEYED, type HeadsCursor, type HeadsFrom } from './heads.sql.js';

/** The time for which a channel counts as free of blocked rows after a claim found it so. */
const FREE_MS = 1_000;
/** The interval at which all due rows are searched for unkeyed ones, while rows are blocked. */
const SEARCH_MS = 1_000;
/** The same as a multiple of the search's duration: it takes at most a twentieth of the time. */
const SEARCH_SHARE = 20;

interface FoundHeads {
  /** The number of rows that the claim has locked. */
  readonly locked: number;
  /** The number of them whose key no other transaction handles. */
  readonly usable: number;
  readonly lastKey: string | null;
  /** The cursor of the result's last column, if a row has one. */
  readonly end: HeadsCursor | undefined;
}

/**
 * Decides where each claim of an ordered channel searches for heads: the oldest row of a key, or a
 * row without a key. A round reads the oldest rows; if too many of them are blocked, all keys; then
 * the rows without a key. Owned by the channel's worker, which stops when a round finds nothing.
 */
export class HeadSearch {
  private cursor: HeadsCursor | undefined;
  /** The position at which the last search for rows without a key ended. */
  private frontier = FIRST_UNKEYED;
  private hasFound = false;
  private freeUntil = 0;
  private nextSearch = 0;
  private searchStart: number | undefined;

  next(now: number): HeadsFrom {
    return this.cursor ?? (now < this.freeUntil ? 'oldest' : 'window');
  }

  /** Returns whether to claim again at once. */
  claimed(from: HeadsFrom, claim: FoundHeads, size: number, now: number): boolean {
    const isFull = claim.locked >= size;
    this.hasFound ||= claim.usable > 0;
    if (typeof from === 'string') return this.claimedOldest(from, claim, isFull, now);
    if ('key' in from) return this.claimedKeys(claim, isFull, now);
    return this.claimedUnkeyed(claim, isFull, now);
  }

  /** Milliseconds until all due rows must be searched again; `undefined` if no rows are blocked. */
  searchInMs(now: number): number | undefined {
    return this.frontier === FIRST_UNKEYED ? undefined : Math.max(1, this.nextSearch - now);
  }

  private claimedOldest(from: 'oldest' | 'window', claim: FoundHeads, isFull: boolean, now: number): boolean {
    if (isFull && claim.usable > 0) {
      if (from === 'window') this.freeUntil = now + FREE_MS;
      return true;
    }
    this.freeUntil = 0;
    if (!isFull && claim.end === undefined) {
      this.frontier = FIRST_UNKEYED; // every due row has been read
      return this.endRound();
    }
    this.cursor = FIRST_KEY;
    return true;
  }

  private claimedKeys({ end, lastKey }: FoundHeads, isFull: boolean, now: number): boolean {
    if (end !== undefined) this.cursor = end;
    else if (isFull) this.cursor = { key: lastKey };
    else {
      const isSearch = now >= this.nextSearch;
      if (this.hasFound && !isSearch) return this.endRound();
      this.searchStart = isSearch ? now : undefined;
      this.cursor = isSearch ? FIRST_UNKEYED : this.frontier;
    }
    return true;
  }

  private claimedUnkeyed({ end }: FoundHeads, isFull: boolean, now: number): boolean {
    if (isFull) return true; // from the same position again: the rows found there will be handled
    if (end !== undefined) {
      this.cursor = this.frontier = end;
      return true;
    }
    if (this.searchStart !== undefined)
      this.nextSearch = now + Math.max(SEARCH_MS, SEARCH_SHARE * (now - this.searchStart));
    return this.endRound();
  }

  private endRound(): boolean {
    const again = this.hasFound;
    this.cursor = undefined;
    this.hasFound = false;
    return again;
  }
}
