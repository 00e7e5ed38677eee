import { backoffDelayMs } from '../common/backoff.js';
import { NonRetryableError, messageOf } from '../common/errors.js';
import type { StoredListener } from './stored-listener.js';
import type { Retry, StoredRow } from './stored-row.js';

/** A listener's failure with a row, and what becomes of it. */
export interface Failure {
  readonly listener: string;
  readonly error: unknown;
  /** Which attempt it was. */
  readonly attempt: number;
  /** In how many milliseconds it is tried again; `undefined`: it has been given up. */
  readonly delayMs: number | undefined;
}

/** What the listeners of this process have done with a row. */
export class RowOutcome {
  readonly succeeded: string[] = [];
  readonly failures: Failure[] = [];
  /** Of those that succeeded: had nothing to do. */
  private readonly passed: string[] = [];

  constructor(
    readonly row: StoredRow,
    /** Those it is meant for and that have not handled it yet: to be run now, or when they are due. */
    readonly listeners: readonly StoredListener[],
  ) {}

  /** Which attempt it is for this listener: its failures, and the claims that nobody has survived. */
  attemptOf({ name }: StoredListener): number {
    return (this.row.retries[name]?.attempts ?? 0) + this.row.deaths + 1;
  }

  succeed({ name }: StoredListener): void {
    this.succeeded.push(name);
  }

  /** By its operation it is not meant for this listener. */
  pass({ name }: StoredListener): void {
    this.succeeded.push(name);
    this.passed.push(name);
  }

  fail(listener: StoredListener, error: unknown): void {
    const attempt = this.attemptOf(listener);
    const isHopeless = error instanceof NonRetryableError || attempt >= listener.retry.maxAttempts;
    const delayMs = isHopeless ? undefined : backoffDelayMs(attempt, listener.retry);
    this.failures.push({ listener: listener.name, error, attempt, delayMs });
  }

  giveUp({ name }: StoredListener, error: unknown): void {
    const attempt = Math.max(this.row.attempts, 1);
    this.failures.push({ listener: name, error, attempt, delayMs: undefined });
  }

  wasHandledBy(listener: string): boolean {
    return this.succeeded.includes(listener) && !this.passed.includes(listener);
  }

  get hasFailed(): boolean {
    return this.failures.length > 0;
  }

  /** Those that are done with it now: they have succeeded, or given up. */
  get done(): string[] {
    const given = this.failures.filter(({ delayMs }) => delayMs === undefined);
    return [...this.succeeded, ...given.map(({ listener }) => listener)];
  }

  /** Of the listeners it is meant for by name, those that are left; `null`: it is meant for all there are. */
  get remaining(): readonly string[] | null {
    const { done } = this;
    return this.row.listeners?.filter((name) => !done.includes(name)) ?? null;
  }

  /** Nobody has anything left to do with it; of those it names, also in other processes. */
  get isComplete(): boolean {
    return this.done.length === this.listeners.length && (this.remaining?.length ?? 0) === 0;
  }

  /** A listener has run, or there is none to run. */
  get isTouched(): boolean {
    return this.isComplete || this.succeeded.length + this.failures.length > 0;
  }
}

/** A row for `postpone()`; `nowMs` is the server's time. */
export function postponedRow(outcome: RowOutcome, nowMs: number): object {
  const { row, listeners, failures, remaining } = outcome;
  const done = new Set(outcome.done);
  const retries: Record<string, Retry> = {};
  for (const [name, retry] of Object.entries(row.retries)) if (!done.has(name)) retries[name] = retry;
  for (const { listener, attempt, delayMs } of failures) {
    if (delayMs !== undefined) retries[listener] = { attempts: attempt - row.deaths, at: nowMs + delayMs };
  }
  const waiting = listeners
    .filter(({ name }) => !done.has(name))
    .map(({ name }) => retries[name]?.at ?? nowMs);
  return {
    id: row.id,
    attempts: Math.max(row.attempts, ...failures.map(({ attempt }) => attempt)),
    available_ms: waiting.length === 0 ? nowMs : Math.min(...waiting),
    handled_by: [...row.handledBy, ...done],
    listeners: remaining,
    retries: Object.keys(retries).length === 0 ? null : retries,
    last_error: failures.length === 0 ? null : errorText(failures.at(-1)?.error),
  };
}

/** Rows for `bury()`: one for each listener that has given up. */
export const deadRows = ({ row, failures }: RowOutcome): object[] =>
  failures
    .filter(({ delayMs }) => delayMs === undefined)
    .map(({ listener, error, attempt }) => ({
      id: row.id,
      listener,
      attempts: attempt,
      last_error: errorText(error),
    }));

const MAX_ERROR_LENGTH = 10_000;

/** Message and stack, as PostgreSQL can store them. */
export function errorText(error: unknown): string {
  const message = messageOf(error);
  const stack = error instanceof Error ? (error.stack ?? '') : '';
  const text = stack.includes(message) ? stack : `${message}\n${stack}`.trim();
  return Buffer.from(text.slice(0, MAX_ERROR_LENGTH).replaceAll('\0', '')).toString(); // no half of a surrogate pair
}
