import { PgPubSubError } from './errors.js';

/**
 * The time limit for one round trip of the library, in milliseconds: to get a connection of the
 * pool, to start or complete a claim, to find the next one. Fixed: a slower database counts as
 * down.
 */
export const ROUND_TRIP_MS = 10_000;

export interface DeadlineOptions {
  readonly ms: number;
  /** The awaited result in "expected `what` within 1000 ms", such as "the pool to answer". */
  readonly what: string;
  /** Ends the late work. Called once, before the promise rejects; must not throw. */
  readonly onLate?: (error: Error) => void;
}

/**
 * Settles as `work` does, or rejects with `TIMED_OUT` after `ms`: the standard way to limit a wait.
 * Late work continues unless `onLate` ends it; its later rejection is ignored.
 */
export function withDeadline<T>(work: PromiseLike<T>, options: DeadlineOptions): Promise<T> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => {
      const error = new LateError(options);
      options.onLate?.(error);
      reject(error);
    }, options.ms);
    const settle = (finish: () => void) => {
      clearTimeout(timer);
      finish();
    };
    work.then(
      (value) => settle(() => resolve(value)),
      (error: unknown) => settle(() => reject(error)),
    );
  });
}

/** Ends a late call and returns the error that it fails with. */
export interface LateCall {
  timeOut(): Error;
}

/** A running call and its deadline, in milliseconds of `performance.now()`. */
interface Watched {
  readonly at: number;
  readonly expire: () => void;
}

/**
 * Limits many short calls with one timer; a timer per call would cost as much as a trivial call.
 * Owned by the caller, which calls `stop()` after the last call.
 */
export class Watchdog {
  private readonly watched = new Set<Watched>();
  private timer: NodeJS.Timeout | undefined;
  private timerAt = Infinity;

  /** Settles as `work` does, or rejects with the error of `call.timeOut()` after `ms`. */
  watch<T>(work: PromiseLike<T>, ms: number, call: LateCall): Promise<T> {
    return new Promise((resolve, reject) => {
      const watched = { at: performance.now() + ms, expire: () => reject(call.timeOut()) };
      this.watched.add(watched);
      if (watched.at < this.timerAt) this.start(watched.at, ms);
      work.then(
        (value) => {
          this.watched.delete(watched);
          resolve(value);
        },
        (error: unknown) => {
          this.watched.delete(watched);
          reject(error);
        },
      );
    });
  }

  stop(): void {
    clearTimeout(this.timer);
    this.timerAt = Infinity;
    this.watched.clear();
  }

  private start(at: number, ms: number): void {
    clearTimeout(this.timer);
    this.timerAt = at;
    this.timer = setTimeout(() => this.expire(), ms);
  }

  /** Ends late calls, and starts the timer for the others. */
  private expire(): void {
    const now = performance.now();
    this.timerAt = Infinity;
    for (const watched of this.watched) {
      if (watched.at > now) continue;
      this.watched.delete(watched);
      watched.expire();
    }
    const next = Math.min(...[...this.watched].map(({ at }) => at));
    if (next < this.timerAt) this.start(next, next - now);
  }
}

/** Resolves when `work` has settled, or after `ms`, with whether it was in time. Never rejects. */
export async function settlesWithin(work: PromiseLike<unknown>, ms: number): Promise<boolean> {
  let isLate = false;
  const onLate = () => (isLate = true);
  await withDeadline(work, { ms, what: 'an end', onLate }).catch(() => undefined);
  return !isLate;
}

class LateError extends PgPubSubError {
  constructor({ what, ms }: DeadlineOptions) {
    super(
      'TIMED_OUT',
      `expected ${what} within ${ms} ms, got no answer. Look for a dead link, a lock, or an exhausted pool.`,
    );
  }
}

/** Whether a deadline of this module has passed; other errors with its code do not count. */
export const isTimedOut = (error: unknown): boolean => error instanceof LateError;
