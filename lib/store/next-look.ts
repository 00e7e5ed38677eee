import type { ClaimSession } from './claim-session.js';
import { nextDue, type ClaimScope } from './claim.sql.js';

/** After a burst of hints the time of the next row is asked for only so often. */
const DUE_INTERVAL_MS = 100;

/** When to look again for a key that another process was handling: whoever did so could not see the row that we held. */
const KEY_RETRY_MS = 100;

/** When to look again for rows that others are handling: whoever dies over them tells nobody. */
const TAKEN_RETRY_MS = 1_000;

interface Due {
  readonly ms: unknown;
  readonly taken: boolean;
}

/** When a channel that has nothing claimable should be looked at again, before its poll. Owned by its worker. */
export class NextLook {
  private lastQuery = 0;

  constructor(private readonly scope: ClaimScope) {}

  /** In how many milliseconds, as far as known; `lastClaim` is when the last one began. */
  async find(session: ClaimSession, lastClaim: number): Promise<number | undefined> {
    const dueMs = await this.findDue(session, lastClaim);
    return session.hasSkippedKeys ? soonest(dueMs, KEY_RETRY_MS) : dueMs;
  }

  private async findDue(session: ClaimSession, lastClaim: number): Promise<number | undefined> {
    const now = performance.now();
    const sinceLast = now - this.lastQuery;
    if (sinceLast < DUE_INTERVAL_MS) return DUE_INTERVAL_MS - sinceLast;
    this.lastQuery = now;
    const parameters = [this.scope.channel, now - lastClaim];
    const { rows } = await session.query<Due>(nextDue(this.scope), parameters);
    const { ms = null, taken = false } = rows[0] ?? {};
    const dueMs = ms === null ? undefined : Math.max(1, Math.ceil(Number(ms)));
    return taken ? soonest(dueMs, TAKEN_RETRY_MS) : dueMs;
  }
}

const soonest = (ms: number | undefined, otherMs: number): number => Math.min(ms ?? otherMs, otherMs);
