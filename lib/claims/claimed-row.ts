import { backoffDelayMs } from '../common/backoff.js';
import { isNonRetryable, messageOf, stackOf } from '../common/errors.js';
import type { JsonObject } from '../common/json.js';
import type { ClaimListener } from './claim-context.js';
import type { Retry, RowFields } from './parse-row.js';

/** The failure of a listener with a row, and its consequence. */
export interface Failure {
  readonly listener: string;
  readonly error: unknown;
  /** The number of the attempt, from 1. */
  readonly attempt: number;
  /** Milliseconds until the retry; `undefined`: the listener has given up. */
  readonly delayMs: number | undefined;
}

/** The maximum of the column. */
const MAX_ATTEMPTS = 2_147_483_647;

/** Times are rounded on their way: a row that is a millisecond early is due. */
const TOLERANCE_MS = 1;

/** A row of a claim: the listeners that are due, and their results. Owned by its claim. */
export class ClaimedRow {
  /** The listeners of this process that the row is for and that have not handled it. */
  readonly listeners: readonly ClaimListener[];
  readonly due: readonly ClaimListener[];
  readonly failures: Failure[] = [];
  readonly succeeded: string[] = [];
  payload: unknown;
  context: JsonObject;
  isDecoded = false;
  /** The number of characters that were read for this row alone. */
  readSize = 0;
  /** Listeners that succeeded because they had nothing to do. */
  private readonly skipped: string[] = [];

  constructor(
    readonly fields: RowFields,
    all: readonly ClaimListener[],
  ) {
    this.context = fields.context;
    this.listeners = hasNoSpecialCases(fields) ? all : all.filter((one) => isAddressedTo(fields, one, all));
    const due =
      fields.now === 0
        ? this.listeners
        : this.listeners.filter(({ name }) => isDue(fields.retries.get(name), fields));
    this.due = due.length === 0 ? this.listeners : due;
  }

  /** Releases the memory of a large row: the other rows of the claim may be as large. */
  release(): void {
    if (!this.fields.isLarge) return;
    this.payload = undefined;
    this.context = this.fields.context;
    this.isDecoded = false;
    this.readSize = 0;
  }

  get id(): string {
    return this.fields.id;
  }

  /** Returns the number of the attempt for this listener: counts failures and crashed claims. */
  attemptOf({ name }: ClaimListener): number {
    const { retries, crashCount } = this.fields;
    return Math.min((retries.get(name)?.attempts ?? 0) + crashCount + 1, MAX_ATTEMPTS);
  }

  succeed({ name }: ClaimListener): void {
    this.succeeded.push(name);
  }

  /** Marks the row as not addressed to this listener, by its operation. */
  skip({ name }: ClaimListener): void {
    this.succeeded.push(name);
    this.skipped.push(name);
  }

  fail(listener: ClaimListener, error: unknown): void {
    const attempt = this.attemptOf(listener);
    const isExhausted = isNonRetryable(error) || attempt >= listener.retry.maxAttempts;
    const delayMs = isExhausted ? undefined : backoffDelayMs(attempt, listener.retry);
    this.failures.push({ listener: listener.name, error, attempt, delayMs });
  }

  giveUp({ name }: ClaimListener, error: unknown): void {
    const attempt = Math.max(this.fields.attempts, 1);
    this.failures.push({ listener: name, error, attempt, delayMs: undefined });
  }

  wasHandledBy(listener: string): boolean {
    return this.succeeded.includes(listener) && !this.skipped.includes(listener);
  }

  get hasFailed(): boolean {
    return this.failures.length > 0;
  }

  /** The listeners that have succeeded or given up. */
  get done(): string[] {
    const givenUp = this.failures.filter(({ delayMs }) => delayMs === undefined);
    return [...this.succeeded, ...givenUp.map(({ listener }) => listener)];
  }

  /** The listeners named by the row that are not done; `null` if the row is for all. */
  get remaining(): readonly string[] | null {
    const done = new Set([...this.fields.handledBy, ...this.done]);
    return this.fields.listeners?.filter((name) => !done.has(name)) ?? null;
  }

  /** Whether all listeners are done, including those that the row names in other processes. */
  get isComplete(): boolean {
    if (this.failures.length === 0 && this.fields.listeners === null)
      return this.succeeded.length === this.listeners.length;
    return this.done.length === this.listeners.length && (this.remaining?.length ?? 0) === 0;
  }

  /** Whether a listener has run, or there is none to run. */
  get wasAttempted(): boolean {
    return this.isComplete || this.succeeded.length + this.failures.length > 0;
  }
}

/** Whether no listener has handled the row, and nothing restricts its listeners. */
const hasNoSpecialCases = ({ handledBy, listeners, matches }: RowFields): boolean =>
  handledBy.length === 0 && listeners === null && matches.length === 0;

function isAddressedTo(row: RowFields, listener: ClaimListener, all: readonly ClaimListener[]): boolean {
  if (row.handledBy.includes(listener.name)) return false;
  if (row.listeners !== null && !row.listeners.includes(listener.name)) return false;
  if (listener.filter === undefined) return true;
  const filtered = all.filter(({ filter }) => filter !== undefined);
  return row.matches[filtered.indexOf(listener)] === true;
}

const isDue = (retry: Retry | undefined, { now }: RowFields): boolean =>
  (retry?.at ?? 0) <= now + TOLERANCE_MS;

/** Returns a row for `postpone()`; `nowMs` is the server's time. */
export function postponedRow(row: ClaimedRow, nowMs: number): object {
  const { fields, listeners, failures, remaining } = row;
  const done = new Set(row.done);
  const retries = new Map([...fields.retries].filter(([name]) => !done.has(name)));
  for (const { listener, attempt, delayMs } of failures) {
    if (delayMs !== undefined)
      retries.set(listener, { attempts: attempt - fields.crashCount, at: nowMs + delayMs });
  }
  const waiting = listeners
    .filter(({ name }) => !done.has(name))
    .map(({ name }) => retries.get(name)?.at ?? nowMs);
  return {
    id: fields.id,
    attempts: Math.max(fields.attempts, ...failures.map(({ attempt }) => attempt)),
    available_ms: waiting.length === 0 ? nowMs : Math.min(...waiting),
    handled_by: [...fields.handledBy, ...done],
    listeners: remaining,
    retries: retries.size === 0 ? null : Object.fromEntries(retries),
    last_error: failures.length === 0 ? null : errorText(failures.at(-1)?.error),
  };
}

/** Returns rows for `moveToDeadLetters()`: one for each listener that has given up. */
export const deadRows = ({ id, failures }: ClaimedRow): object[] =>
  failures
    .filter(({ delayMs }) => delayMs === undefined)
    .map(({ listener, error, attempt }) => ({
      id,
      listener,
      attempts: attempt,
      last_error: errorText(error),
    }));

const MAX_ERROR_LENGTH = 10_000;

/** Returns message and stack in a form that PostgreSQL can store. */
export function errorText(error: unknown): string {
  const message = messageOf(error);
  const stack = stackOf(error) ?? '';
  const text = stack.includes(message) ? stack : `${message}\n${stack}`.trim();
  return Buffer.from(text.slice(0, MAX_ERROR_LENGTH).replaceAll('\0', '')).toString(); // replaces half of a surrogate pair
}
