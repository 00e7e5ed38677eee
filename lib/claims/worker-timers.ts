import { NextWakeUp } from './next-wake-up.js';

/** The minimum interval between queries for the next due row: bursts of hints would repeat them. */
const DUE_INTERVAL_MS = 100;

export interface WorkerTimersOptions {
  /** The current interval of polls without a hint. */
  readonly pollMs: () => number;
  /** Whether no timer may be set: the worker is paused or stops, or the application is not up. */
  readonly isOff: () => boolean;
  readonly wake: () => void;
  readonly poll: () => void;
}

/**
 * The timers of a worker: it claims at the soonest of the requested times, and polls at the end of
 * its poll interval. Owned by a `ChannelWorker`.
 */
export class WorkerTimers {
  private readonly nextWakeUp: NextWakeUp;
  private readonly nextPoll: NextWakeUp;
  private lastDueQuery = 0;

  constructor(private readonly options: WorkerTimersOptions) {
    this.nextWakeUp = new NextWakeUp(options.wake);
    this.nextPoll = new NextWakeUp(() => {
      this.pollLater(); // also while a handler hangs
      options.poll();
    });
  }

  /** Claims after this time, at the latest after the poll interval. */
  wakeIn(delayMs: number): void {
    if (!this.options.isOff()) this.nextWakeUp.in(Math.min(delayMs, this.options.pollMs()));
  }

  /** Claims when a row is due; a row that is due after the next poll is left to the poll. */
  wakeWhenDue(dueMs: number | undefined): void {
    if (dueMs !== undefined && dueMs < this.options.pollMs()) this.wakeIn(dueMs);
  }

  /** Claims when the next row is due; queries for that row at most every 100 ms. */
  async wakeForNextDue(findDueMs: () => Promise<number | undefined>): Promise<void> {
    const now = performance.now();
    const sinceLast = now - this.lastDueQuery;
    if (sinceLast < DUE_INTERVAL_MS) return this.wakeIn(DUE_INTERVAL_MS - sinceLast);
    this.lastDueQuery = now;
    this.wakeWhenDue(await findDueMs());
  }

  pollLater(): void {
    if (!this.options.isOff()) this.nextPoll.in(this.options.pollMs());
  }

  clear(): void {
    this.nextWakeUp.clear();
    this.nextPoll.clear();
  }
}
