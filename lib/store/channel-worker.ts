import type { Report } from '../common/facts.js';
import { ClaimHandling, type DrainCount } from './claim-handling.js';
import { ClaimPace } from './claim-pace.js';
import type { ClaimHost } from './claim-run.js';
import { ClaimSession } from './claim-session.js';
import type { ClaimSlots } from './claim-slots.js';
import { beginClaim, type ClaimScope } from './claim.sql.js';
import { NextLook } from './next-look.js';

export interface ChannelWorkerOptions {
  readonly host: ClaimHost;
  readonly scope: ClaimScope;
  readonly slots: ClaimSlots;
  readonly batch: { readonly maxSize: number; readonly maxTimeMs: number };
  /** How long to wait before looking without a hint, at this moment. */
  readonly pollMs: () => number;
  readonly report: Report;
}

/**
 * Claims one channel's rows: woken by hints, by the time of rows that wait for theirs, and by a slow poll. Works until
 * nothing claimable is left, on more connections the more there is. Owned by the store; idle, it holds nothing.
 */
export class ChannelWorker {
  private readonly pace: ClaimPace;
  private readonly handling: ClaimHandling;
  private readonly nextLook: NextLook;
  private readonly sessions = new Set<ClaimSession>();
  private readonly idleWaiters: (() => void)[] = [];
  private timer: NodeJS.Timeout | undefined;
  private loops = 0;
  /** Of these loops, those whose handlers run. */
  private busyLoops = 0;
  private isWoken = false;
  private isHeld = false;
  private isStopped = false;
  private isAbandoned = false;
  private lastClaim = 0;
  private failures = 0;

  constructor(private readonly options: ChannelWorkerOptions) {
    this.pace = new ClaimPace(options.batch);
    this.handling = new ClaimHandling({ ...options, pace: this.pace });
    this.nextLook = new NextLook(options.scope);
  }

  get channel(): string {
    return this.options.scope.channel;
  }

  /** What this process has done on the channel since the start. */
  get count(): Readonly<DrainCount> {
    return this.handling.count;
  }

  get isPaused(): boolean {
    return this.isHeld;
  }

  /**
   * There may be something to do. Hints that arrive during a claim cause one more round, not one each: when it ends, or
   * beside it, when its handlers take longer than a claim should.
   */
  wake(): void {
    if (this.isHeld || this.isStopped) return;
    this.isWoken = true;
    if (this.loops === 0) this.startLoop();
    else if (this.loops === this.busyLoops) this.relieve();
  }

  pause(): void {
    this.isHeld = true;
    this.clearTimer();
  }

  resume(): void {
    if (!this.isHeld) return;
    this.isHeld = false;
    this.wake();
  }

  /** Claims until nothing claimable is left; resolves with what this process has done meanwhile. */
  async drain(): Promise<DrainCount> {
    const { count } = this.handling;
    const before = { ...count };
    this.wake();
    await this.whenIdle();
    return { handled: count.handled - before.handled, failed: count.failed - before.failed };
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
    return this.isHeld || this.isStopped;
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
        return this.isEnding ? undefined : await this.nextLook.find(session, this.lastClaim);
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
    this.busyLoops++;
    try {
      return (
        (await this.handling.handle(session, rows, began)) ||
        rows.length === wanted ||
        cursor !== undefined ||
        this.isWoken
      );
    } finally {
      this.busyLoops--;
    }
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
