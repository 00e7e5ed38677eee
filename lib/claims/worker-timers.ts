import { NextWakeUp } from './next-wake-up.js';

export interface WorkerTimersOptions {
  /** How long to wait before looking without a hint, at this moment. */
  readonly pollMs: () => number;
  /** Whether no timer may be set: the worker is paused, or stops, or the application is not up yet. */
  readonly isOff: () => boolean;
  readonly wake: () => void;
  readonly poll: () => void;
}

/**
 * The times at which a worker does something by itself: it claims at the soonest of the times it was asked for, and looks at
 * the end of its poll interval. Owned by a `ChannelWorker`.
 */
export class WorkerTimers {
  private readonly nextWakeUp: NextWakeUp;
  private readonly nextPoll: NextWakeUp;

  constructor(private readonly options: WorkerTimersOptions) {
    this.nextWakeUp = new NextWakeUp(options.wake);
    this.nextPoll = new NextWakeUp(() => {
      this.pollLater(); // also while a handler hangs
      options.poll();
    });
  }

  /** Claims after this time, and at the latest after the poll interval. */
  wakeIn(delayMs: number): void {
    if (!this.options.isOff()) this.nextWakeUp.in(Math.min(delayMs, this.options.pollMs()));
  }

  /** Claims when a row is due; one that is due after the next poll is left to that. */
  wakeWhenDue(dueMs: number | undefined): void {
    if (dueMs !== undefined && dueMs < this.options.pollMs()) this.wakeIn(dueMs);
  }

  pollLater(): void {
    if (!this.options.isOff()) this.nextPoll.in(this.options.pollMs());
  }

  clear(): void {
    this.nextWakeUp.clear();
    this.nextPoll.clear();
  }
}
