import { PgPubSubError } from './errors.js';

/**
 * How long one round trip of the library's own may take, in milliseconds: to get a connection of the pool, to begin a
 * claim, to complete it, to look for the next one. Fixed: a slower database is one that does not answer.
 */
export const ROUND_TRIP_MS = 10_000;

export interface DeadlineOptions {
  readonly ms: number;
  /** Names the wait in the error: "expected `what` within 10000 ms", for example "the database to answer a claim". */
  readonly what: string;
  /** Ends what is late. Called once, before the promise rejects; must not throw. */
  readonly onLate?: (error: Error) => void;
}

/**
 * Settles as `work` does, or rejects with `TIMED_OUT` after `ms`. The one way to limit a wait in time. Work that is
 * late goes on unless `onLate` ends it; what it rejects with afterwards is dropped.
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

/** Ends a call that is late, and says why it has failed. */
export interface LateCall {
  timeOut(): Error;
}

/** A call and its deadline, in milliseconds of `performance.now()`. */
interface Watched {
  readonly at: number;
  readonly expire: () => void;
}

/**
 * Limits many short calls with one timer: a timer for each would cost as much as a call that does next to nothing. Owned
 * by whoever makes the calls, who calls `stop()` after the last one.
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

  /** Ends the calls that are late. Calls that began meanwhile get the timer again. */
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

/** Tells a deadline of this module from other errors with the same code. */
class LateError extends PgPubSubError {
  constructor({ what, ms }: DeadlineOptions) {
    super(
      'TIMED_OUT',
      `expected ${what} within ${ms} ms, got no answer. Look for a dead link, a lock, or an exhausted pool.`,
    );
  }
}

/** Whether a deadline has passed; other errors of the work with the same code do not count. */
export const isTimedOut = (error: unknown): boolean => error instanceof LateError;
