import type { Report } from '../common/facts.js';
import { isRefusal } from '../common/refusal.js';
import type { RowOutcome } from './claim-outcome.js';
import { ClaimPace } from './claim-pace.js';
import { ClaimRun, type ClaimHost } from './claim-run.js';
import { ClaimSession } from './claim-session.js';
import type { ClaimSlots } from './claim-slots.js';
import { beginClaim, beginClaimOf, countDeaths, nextDue, type ClaimScope } from './claim.sql.js';
import type { StoredRow } from './stored-row.js';

export interface ChannelWorkerOptions {
  readonly host: ClaimHost;
  readonly scope: ClaimScope;
  readonly slots: ClaimSlots;
  readonly batch: { readonly maxSize: number; readonly maxTimeMs: number };
  /** How long to wait before looking without a hint, at this moment. */
  readonly pollMs: () => number;
  readonly report: Report;
}

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

interface Separated {
  readonly together: readonly StoredRow[];
  readonly alone: readonly StoredRow[];
}

export interface DrainCount {
  handled: number;
  failed: number;
}

/**
 * Claims one channel's rows: woken by hints, by the time of rows that wait for theirs, and by a slow poll. Works until
 * nothing claimable is left, on more connections the more there is. Owned by the store; idle, it holds nothing.
 */
export class ChannelWorker {
  private readonly pace: ClaimPace;
  private readonly sessions = new Set<ClaimSession>();
  private readonly idleWaiters: (() => void)[] = [];
  private readonly count: DrainCount = { handled: 0, failed: 0 };
  private timer: NodeJS.Timeout | undefined;
  private loops = 0;
  /** Of these loops, those whose handlers run. */
  private handling = 0;
  private isWoken = false;
  private isPaused = false;
  private isStopped = false;
  private isAbandoned = false;
  private lastClaim = 0;
  private lastDueQuery = 0;
  private failures = 0;

  constructor(private readonly options: ChannelWorkerOptions) {
    this.pace = new ClaimPace(options.batch);
  }

  get channel(): string {
    return this.options.scope.channel;
  }

  /**
   * There may be something to do. Hints that arrive during a claim cause one more round, not one each: when it ends, or
   * beside it, when its handlers take longer than a claim should.
   */
  wake(): void {
    if (this.isPaused || this.isStopped) return;
    this.isWoken = true;
    if (this.loops === 0) this.startLoop();
    else if (this.loops === this.handling) this.relieve();
  }

  pause(): void {
    this.isPaused = true;
    this.clearTimer();
  }

  resume(): void {
    if (!this.isPaused) return;
    this.isPaused = false;
    this.wake();
  }

  /** Claims until nothing claimable is left; resolves with what this process has done meanwhile. */
  async drain(): Promise<DrainCount> {
    const before = { ...this.count };
    this.wake();
    await this.whenIdle();
    return { handled: this.count.handled - before.handled, failed: this.count.failed - before.failed };
  }

  /** Lets running handlers finish and commits what they did. */
  async stop(): Promise<void> {
    this.isStopped = true;
    this.clearTimer();
    await this.whenIdle();
  }

  /** Gives up the claims that still run: the server undoes them, others can claim their rows. */
  async abandon(): Promise<void> {
    this.isAbandoned = true;
    await Promise.all(
      [...this.sessions].map((session) => session.destroy(new Error('the application closes'))),
    );
  }

  get isRunning(): boolean {
    return this.loops > 0;
  }

  /** The claim under way is to be the last. */
  get isEnding(): boolean {
    return this.isPaused || this.isStopped;
  }

  private whenIdle(): Promise<void> {
    if (this.loops === 0) return Promise.resolve();
    return new Promise((resolve) => this.idleWaiters.push(resolve));
  }

  private startLoop(): void {
    this.loops++;
    this.lastClaim = performance.now();
    this.schedule(this.options.pollMs());
    void this.loop();
  }

  /** Those who are at work look for nothing at the moment, and may be held up by a handler. */
  private relieve(): void {
    const { slots, batch } = this.options;
    if (this.loops >= slots.share) return; // the first that ends looks again
    const restMs = this.lastClaim + batch.maxTimeMs - performance.now();
    if (restMs > 0) this.schedule(restMs);
    else this.startLoop();
  }

  private async loop(): Promise<void> {
    let nextInMs: number | undefined;
    try {
      nextInMs = await this.claimUntilEmpty();
      this.failures = 0;
    } catch (error) {
      this.failures++;
      if (!this.isAbandoned) this.options.report({ type: 'claim-failed', channel: this.channel, error });
      nextInMs = Math.min(1_000, 50 * 2 ** Math.min(this.failures, 10));
    }
    this.loops--;
    if (this.loops === 0 && !this.isEnding && this.isWoken && this.failures === 0) return this.startLoop();
    this.schedule(nextInMs ?? this.options.pollMs());
    if (this.loops > 0) return;
    for (const resolve of this.idleWaiters.splice(0)) resolve();
  }

  /** Returns in how many milliseconds something is due, as far as known. */
  private async claimUntilEmpty(): Promise<number | undefined> {
    const giveBack = await this.options.slots.acquire(this);
    try {
      if (this.isEnding) return undefined;
      const session = await ClaimSession.open(this.options.host.dataSource, this.options.scope.schema);
      this.sessions.add(session);
      try {
        while (!this.isEnding && (await this.claimOnce(session)));
        if (this.isEnding) return undefined;
        const nextInMs = await this.findNextDue(session);
        return session.hasSkippedKeys ? Math.min(nextInMs ?? KEY_RETRY_MS, KEY_RETRY_MS) : nextInMs;
      } catch (error) {
        await session.destroy(error);
        throw error;
      } finally {
        this.sessions.delete(session);
        await session.release();
      }
    } finally {
      giveBack();
    }
  }

  /** Is there likely more? */
  private async claimOnce(session: ClaimSession): Promise<boolean> {
    const { scope } = this.options;
    this.isWoken = false;
    const began = performance.now();
    this.lastClaim = began;
    const cursor = scope.ordered ? undefined : this.pace.nextCursor(began); // of a key, the next may stand before it
    const wanted = this.pace.size;
    const rows = await session.claim(beginClaim(scope, wanted, cursor), scope.ordered);
    this.pace.claimed(rows, wanted, cursor, performance.now() - began);
    if (rows.length === 0) {
      await session.complete([]);
      return cursor !== undefined || this.isWoken;
    }
    if (rows.length === wanted && this.pace.isSlow && this.loops < this.options.slots.share) this.startLoop();
    this.handling++;
    try {
      return (
        (await this.handleClaim(session, rows)) ||
        rows.length === wanted ||
        cursor !== undefined ||
        this.isWoken
      );
    } finally {
      this.handling--;
    }
  }

  /** Is there certainly more? */
  private async handleClaim(session: ClaimSession, rows: readonly StoredRow[]): Promise<boolean> {
    const { together, alone } = await this.separate(session, rows);
    const outcomes = await this.handle(session, together);
    for (const { id } of alone) if (!this.isEnding) await this.handleAlone(session, id);
    return outcomes.length < together.length || alone.length > 0 || this.options.scope.ordered;
  }

  /**
   * Rows whose claim has ended without a word before are handled alone, where they can harm no other: those it has
   * happened to most come last. Each such end is counted with this claim, before they are handled again: a row must not
   * take down processes for ever.
   */
  private async separate(session: ClaimSession, rows: readonly StoredRow[]): Promise<Separated> {
    const suspects = await session.findSuspects(rows);
    if (suspects.size > 0) await session.query(countDeaths(this.options.scope.schema), [[...suspects]]);
    for (const { id, deaths } of rows)
      if (suspects.has(id))
        this.options.report({ type: 'interrupted', channel: this.channel, id, deaths: deaths + 1 });
    const deathsOf = ({ id, deaths }: StoredRow) => deaths + (suspects.has(id) ? 1 : 0);
    const alone = rows.filter((row) => deathsOf(row) > 0);
    return {
      together: alone.length === 0 ? rows : rows.filter((row) => deathsOf(row) === 0),
      alone: alone.toSorted((a, b) => deathsOf(a) - deathsOf(b)),
    };
  }

  private async handle(session: ClaimSession, rows: readonly StoredRow[]): Promise<readonly RowOutcome[]> {
    const began = performance.now();
    const run = new ClaimRun(this.options.host, session, rows);
    const outcomes = await run.run();
    this.pace.handled(outcomes.length, performance.now() - began, run.handlingMs);
    this.reportOutcomes(outcomes, performance.now() - began);
    return outcomes;
  }

  private async handleAlone(session: ClaimSession, id: string): Promise<void> {
    const { host, scope } = this.options;
    const rows = await session.claim(beginClaimOf(scope, id), scope.ordered);
    const run = new ClaimRun(host, session, rows);
    const maxAttempts = Math.min(...host.listeners.map(({ retry }) => retry.maxAttempts));
    const isHopeless = rows.some(({ deaths }) => deaths >= Math.max(maxAttempts, 2)); // the first may have been another's
    try {
      const outcomes = isHopeless ? await run.buryAll(neverEnded) : await run.run();
      this.reportOutcomes(outcomes, 0);
    } catch (error) {
      if (!isRefusal(error)) throw error;
      await session.query('rollback', []);
      await this.failCommit(session, id, error);
    }
  }

  /** The server has refused to commit what the listeners have done to this one row: they have failed, all of them. */
  private async failCommit(session: ClaimSession, id: string, error: unknown): Promise<void> {
    const { host, scope } = this.options;
    const rows = await session.claim(beginClaimOf(scope, id), scope.ordered);
    this.reportOutcomes(await new ClaimRun(host, session, rows).failAll(error), 0);
  }

  private reportOutcomes(outcomes: readonly RowOutcome[], durationMs: number): void {
    const { channel, options } = this;
    let failed = 0;
    for (const { row, failures } of outcomes) {
      if (failures.length > 0) failed++;
      for (const failure of failures)
        options.report({ type: 'stored-failed', channel, id: row.id, ...failure });
    }
    this.count.failed += failed;
    this.count.handled += outcomes.length - failed;
    options.report({ type: 'claimed', channel, handled: outcomes.length - failed, failed, durationMs });
  }

  private async findNextDue(session: ClaimSession): Promise<number | undefined> {
    const now = performance.now();
    const sinceLast = now - this.lastDueQuery;
    if (sinceLast < DUE_INTERVAL_MS) return DUE_INTERVAL_MS - sinceLast;
    this.lastDueQuery = now;
    const parameters = [this.channel, now - this.lastClaim];
    const { rows } = await session.query<Due>(nextDue(this.options.scope), parameters);
    const { ms = null, taken = false } = rows[0] ?? {};
    const dueMs = ms === null ? undefined : Math.max(1, Math.ceil(Number(ms)));
    return taken ? Math.min(dueMs ?? TAKEN_RETRY_MS, TAKEN_RETRY_MS) : dueMs;
  }

  private schedule(delayMs: number): void {
    this.clearTimer();
    if (this.isEnding) return;
    const look = () => {
      this.schedule(this.options.pollMs()); // also while a handler hangs
      this.wake();
    };
    this.timer = setTimeout(look, Math.min(delayMs, this.options.pollMs()));
  }

  private clearTimer(): void {
    clearTimeout(this.timer);
  }
}

const neverEnded = ({ deaths }: StoredRow) =>
  new Error(
    `expected its handlers to end, but ${deaths} times the process or its connection ended while they ran`,
  );
