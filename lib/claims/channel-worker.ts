import { ClaimConnection } from '../postgres/claim-connection.js';
import { AdaptiveBatchSize } from './batch-size.js';
import { Claim, isRejected } from './claim.js';
import type { ClaimContext } from './claim-context.js';
import { ClaimPause } from './claim-pause.js';
import type { ClaimCursor } from './claim.sql.js';
import { settleGivenUp } from './given-up-claims.js';
import { HeadSearch } from './head-search.js';
import type { HeadsFrom } from './heads.sql.js';
import type { DrainCount } from './drain-count.js';
import { findNextDue } from './next-due.js';
import { runClaim } from './run-claim.js';
import type { Semaphore } from './semaphore.js';
import { WorkerTimers } from './worker-timers.js';

export interface ChannelWorkerOptions {
  readonly context: Omit<ClaimContext, 'isEnding'>;
  readonly slots: Semaphore;
  readonly batch: { readonly maxSize: number; readonly maxTimeMs: number };
  /** The current interval of polls without a hint. */
  readonly pollMs: () => number;
  /** Whether it claims on its own: the application is up. */
  readonly isActive: () => boolean;
  /** Polls for due rows, together with other channels; `noteDueTime()` receives the result. */
  readonly pollDue: (worker: ChannelWorker) => void;
}

interface Claiming {
  readonly wanted: number;
  readonly heads: HeadsFrom | undefined;
  readonly from: ClaimCursor | undefined;
  readonly began: number;
}

/**
 * The delay before a key of another process is claimed again: that process could not see the row
 * that this one held.
 */
const KEY_RETRY_MS = 100;

/**
 * Claims the rows of one channel. Hints, scheduled rows and polls wake it. Decides when and how
 * much is claimed, and works until nothing claimable is left, on more connections the more there
 * is. Owned by `Workers`; holds nothing while idle.
 */
export class ChannelWorker {
  readonly count: DrainCount = { handled: 0, failed: 0 };
  private readonly context: ClaimContext;
  private readonly batchSize: AdaptiveBatchSize;
  private readonly heads: HeadSearch | undefined; // only for ordered channels
  private readonly timers: WorkerTimers;
  private readonly connections = new Set<ClaimConnection>();
  private readonly idleWaiters: (() => void)[] = [];
  private state: 'running' | 'paused' | 'stopped' | 'abandoned' = 'running';
  private loops = 0;
  private busyLoops = 0; // loops whose handlers run
  private isWoken = false;
  private lastClaim = 0;
  private readonly pauses = new ClaimPause();

  constructor(private readonly options: ChannelWorkerOptions) {
    this.context = { ...options.context, isEnding: () => this.isEnding };
    this.batchSize = new AdaptiveBatchSize(options.batch);
    this.heads = this.context.ordered ? new HeadSearch() : undefined;
    const isOff = () => this.isEnding || !options.isActive();
    this.timers = new WorkerTimers({ ...options, isOff, wake: () => this.wake(), poll: () => options.pollDue(this) }); // prettier-ignore
  }

  get channel(): string {
    return this.context.channel;
  }

  get isPaused(): boolean {
    return this.state === 'paused';
  }

  get isRunning(): boolean {
    return this.loops > 0;
  }

  /**
   * Requests a claim. Hints that arrive during a claim cause one more claim, not one each: after
   * it, or beside it if its handlers take longer than a claim should.
   */
  wake(): void {
    if (this.isEnding) return;
    this.isWoken = true;
    if (this.pauses.ignoresHints(performance.now())) return;
    if (this.loops === 0) this.startLoop();
    else if (this.loops === this.busyLoops) this.startSpareLoop();
  }

  /** Receives from a poll the milliseconds until a row is due; zero: now; `undefined`: no row. */
  noteDueTime(dueMs: number | undefined): void {
    this.timers.pollLater();
    if (dueMs === 0 || this.pauses.isFailing) this.wake();
    else this.timers.wakeWhenDue(dueMs);
  }

  pause(): void {
    if (this.state === 'running') this.state = 'paused';
    this.timers.clear();
  }

  /** Lets the worker claim again, once it is woken. */
  resume(): void {
    if (this.state === 'paused') this.state = 'running';
  }

  /** Claims until nothing claimable is left; resolves with the counts of this process meanwhile. */
  async drain(): Promise<DrainCount> {
    const before = { ...this.count };
    this.pauses.end();
    this.wake();
    await this.whenIdle();
    return { handled: this.count.handled - before.handled, failed: this.count.failed - before.failed };
  }

  /** Lets running handlers finish and commits their work. */
  async stop(): Promise<void> {
    this.state = 'stopped';
    this.timers.clear();
    await this.whenIdle();
  }

  /** Gives up running claims: the server rolls them back, and others can claim their rows. */
  async abandon(): Promise<void> {
    this.state = 'abandoned';
    const cause = new Error('the application closes');
    await Promise.all([...this.connections].map((connection) => connection.destroy(cause)));
  }

  private get isEnding(): boolean {
    return this.state !== 'running';
  }

  private whenIdle(): Promise<void> {
    if (this.loops === 0) return Promise.resolve();
    return new Promise((resolve) => this.idleWaiters.push(resolve));
  }

  private startLoop(): void {
    this.loops++;
    this.lastClaim = performance.now();
    this.timers.pollLater();
    void this.loop();
  }

  /** Starts one more loop when all running loops are busy in handlers. */
  private startSpareLoop(): void {
    if (this.loops >= this.options.slots.share) return; // the first loop that ends claims again
    const restMs = this.lastClaim + this.options.batch.maxTimeMs - performance.now();
    if (restMs > 0) this.timers.wakeIn(restMs);
    else this.startLoop();
  }

  private async loop(): Promise<void> {
    try {
      while (await this.takeTurn());
    } catch (error) {
      this.noteFailure(error);
    }
    this.loops--;
    if (this.loops === 0 && !this.isEnding && this.isWoken && !this.pauses.isFailing) return this.startLoop();
    this.timers.pollLater();
    if (this.loops > 0) return;
    for (const resolve of this.idleWaiters.splice(0)) resolve();
  }

  /**
   * Claims on one connection until no row is left or another channel waits for its turn. Resolves
   * with whether there may be more rows.
   */
  private async takeTurn(): Promise<boolean> {
    const release = await this.options.slots.acquire(this);
    try {
      if (this.isEnding) return false;
      const connection = await ClaimConnection.open(this.context.dataSource);
      try {
        return await this.use(connection, () => this.claimOn(connection));
      } finally {
        await this.settleRemaining();
      }
    } finally {
      release();
    }
  }

  /** Settles given-up claims also if nothing more is claimed; the next connection retries. */
  private async settleRemaining(): Promise<void> {
    if (this.context.givenUp.length === 0 || this.state === 'abandoned') return;
    try {
      await this.use(await ClaimConnection.open(this.context.dataSource), () => Promise.resolve());
    } catch {
      // the database is unreachable: noteFailure() reports the claim
    }
  }

  private async use<T>(connection: ClaimConnection, work: () => Promise<T>): Promise<T> {
    this.connections.add(connection);
    try {
      await settleGivenUp(connection, this.context);
      return await work();
    } catch (error) {
      await connection.destroy(error);
      throw error;
    } finally {
      this.connections.delete(connection);
      await connection.release();
    }
  }

  private async claimOn(connection: ClaimConnection): Promise<boolean> {
    if (this.isEnding) return false; // paused while the connection was opened
    for (;;) {
      const began = performance.now();
      const hasMore = await this.claimOnce(connection, began);
      this.noteSuccess();
      if (this.isEnding) return false;
      if (connection.isTainted) return true; // the session may have the role of a handler
      if (!hasMore) {
        await this.scheduleNext(connection, began);
        return false;
      }
      if (this.options.slots.isWantedByOthers(this)) return true;
    }
  }

  /** Resolves with whether there may be more rows to claim. */
  private async claimOnce(connection: ClaimConnection, began: number): Promise<boolean> {
    const { context, batchSize, options } = this;
    this.isWoken = false;
    this.lastClaim = began;
    const wanted = batchSize.size;
    const heads = this.heads?.next(began);
    const from = this.heads ? undefined : batchSize.nextCursor(began);
    const range = heads === undefined ? { size: wanted, from } : { size: wanted, heads };
    const claim = await Claim.begin(connection, context, range);
    const mayHaveMore = this.noteClaimed(claim, { wanted, heads, from, began });
    if (claim.size === 0) {
      await claim.commit();
      return mayHaveMore || this.isWoken;
    }
    if (claim.size === wanted && batchSize.isSlow && this.loops < options.slots.share) this.startLoop();
    const hasMore = await this.run(claim);
    return hasMore || mayHaveMore || this.isWoken;
  }

  private noteClaimed({ locked, size }: Claim, { wanted, heads, from, began }: Claiming): boolean {
    const now = performance.now();
    const last = locked.rows.at(-1)?.fields;
    this.batchSize.claimed({ wanted, size, last, from, tookMs: now - began }, now);
    if (this.heads === undefined || heads === undefined) return size === wanted || from !== undefined;
    if (size < locked.size) this.timers.wakeIn(KEY_RETRY_MS);
    const { lastKey, end } = locked;
    return this.heads.claimed(heads, { locked: locked.size, usable: size, lastKey, end }, wanted, now);
  }

  private async run(claim: Claim): Promise<boolean> {
    this.busyLoops++;
    try {
      const { attempted, failed, hasMore, retryInMs } = await runClaim(claim);
      this.count.failed += failed;
      this.count.handled += attempted - failed;
      this.batchSize.handled(claim.attempted, claim.tookMs, claim.handlingMs);
      // Another loop may claim at this moment, and see neither the retried row nor its time.
      if (retryInMs !== undefined) this.timers.wakeIn(retryInMs);
      return hasMore;
    } finally {
      this.busyLoops--;
    }
  }

  /** Schedules the claim of the next due row; `began` is the start of this loop's last claim. */
  private async scheduleNext(connection: ClaimConnection, began: number): Promise<void> {
    const now = performance.now();
    const searchInMs = this.heads?.searchInMs(now);
    if (searchInMs !== undefined) this.timers.wakeIn(searchInMs);
    for (const { until } of this.context.heldBack.values()) this.timers.wakeIn(Math.max(1, until - now));
    await this.timers.wakeForNextDue(() => findNextDue(connection, this.context, now - began));
  }

  private noteSuccess(): void {
    if (this.pauses.isFailing) this.context.report({ type: 'claim-recovered', channel: this.channel });
    this.pauses.noteSuccess();
  }

  private noteFailure(error: unknown): void {
    const { channel, report, listeners } = this.context;
    if (this.state !== 'abandoned') report({ type: 'claim-failed', channel, error });
    const rejection = { retry: listeners[0]?.retry, pollMs: this.options.pollMs() };
    this.timers.wakeIn(this.pauses.noteFailure(performance.now(), isRejected(error) ? rejection : undefined));
  }
}
