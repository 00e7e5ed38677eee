import { brandInstances, hasBrand } from './brand.js';
import { escapeControls, escapeStack } from './log-text.js';

/** Every `code` of a {@link PgPubSubError}. */
export const ERROR_CODES = [
  'INVALID_OPTIONS',
  'DUPLICATE_INSTANCE',
  'UNKNOWN_INSTANCE',
  'DATA_SOURCE_UNUSABLE',
  'CONNECT_FAILED',
  'INVALID_CHANNEL',
  'CHANNEL_CONFLICT',
  'INVALID_LISTENER',
  'INVALID_TRIGGER',
  'SCHEMA_DRIFTED',
  'STORAGE_MISSING',
  'INVALID_ARGUMENT',
  'INVALID_PAYLOAD',
  'PAYLOAD_REJECTED',
  'PAYLOAD_TOO_LARGE',
  'DELIVERY_UNSUPPORTED',
  'BUFFER_OVERFLOW',
  'TIMED_OUT',
  'HANDLER_TIMEOUT',
  'COMPLETION_REFUSED',
] as const;

/** One of {@link ERROR_CODES}; `docs/errors.md` lists when each is thrown, and its remedy. */
export type PgPubSubErrorCode = (typeof ERROR_CODES)[number];

const PG_PUB_SUB_ERROR = Symbol.for('nestjs-pgpubsub:error');
const NON_RETRYABLE_ERROR = Symbol.for('nestjs-pgpubsub:non-retryable-error');

/**
 * The class of this library's errors. Programs distinguish them by `code`. The message states what
 * was expected, what was given and the remedy; `cause` is the underlying error, if there is one.
 */
export class PgPubSubError extends Error {
  static {
    brandInstances(this, PG_PUB_SUB_ERROR);
  }

  override readonly name = 'PgPubSubError';

  constructor(
    readonly code: PgPubSubErrorCode,
    message: string,
    options?: { cause?: unknown },
  ) {
    super(message, options);
  }
}

/**
 * Thrown by a handler to make its stored notification a dead letter without a retry. On a
 * broadcast, which is never retried, it is an ordinary error.
 */
export class NonRetryableError extends Error {
  static {
    brandInstances(this, NON_RETRYABLE_ERROR);
  }

  override readonly name = 'NonRetryableError';
}

/** Whether an error is a `PgPubSubError`, of this or another copy of the package. Never throws. */
export const isPgPubSubError = (error: unknown): error is PgPubSubError => hasBrand(error, PG_PUB_SUB_ERROR);

/** Whether an error is a {@link NonRetryableError}, of any copy of the package. Never throws. */
export const isNonRetryable = (error: unknown): boolean => hasBrand(error, NON_RETRYABLE_ERROR);

/** Reports an error that can be neither thrown nor logged, as a process warning. Never throws. */
export function warnOf(error: unknown): void {
  const stack = stackOf(error);
  const message = escapeControls(messageOf(error));
  if (stack === undefined) return process.emitWarning(message);
  const warning = new Error(message); // showing the original may throw
  warning.stack = escapeStack(stack);
  process.emitWarning(warning);
}

/** Describes a value in an error message, in at most one line. Never throws. */
export const describeValue = (value: unknown): string => described(() => describe(value), UNDESCRIBABLE);

/** Returns the message of any thrown value. Never throws, although its properties may. */
export const messageOf = (error: unknown): string => described(() => findMessage(error, 0), UNDESCRIBABLE);

/** Returns the stack of any thrown value, or `undefined`. Never throws. */
export const stackOf = (error: unknown): string | undefined =>
  described(() => {
    const stack: unknown = error instanceof Error ? error.stack : undefined;
    return typeof stack === 'string' ? stack : undefined;
  }, undefined);

const UNDESCRIBABLE = 'a value that cannot be described: reading it throws';

function described<T>(read: () => T, otherwise: T): T {
  try {
    return read();
  } catch {
    return otherwise;
  }
}

/** The depth and number of nested errors that are described: they may be circular. */
const MAX_DEPTH = 3;
const MAX_ERRORS = 5;

function findMessage(error: unknown, depth: number): string {
  if (!(error instanceof Error)) return describe(error);
  const message: unknown = error.message;
  if (error instanceof AggregateError && message === '' && depth < MAX_DEPTH)
    return error.errors
      .slice(0, MAX_ERRORS)
      .map((one) => described(() => findMessage(one, depth + 1), UNDESCRIBABLE))
      .join('; '); // Node: one error for ::1, one for 127.0.0.1
  return typeof message === 'string' ? message : describe(message);
}

function describe(value: unknown): string {
  if (typeof value === 'string') return quoted(value);
  if (typeof value === 'function') return describeFunction(value);
  if (value === null || typeof value !== 'object') return shortened(String(value));
  if (Array.isArray(value)) return 'an array';
  const name: unknown = Object.getPrototypeOf(value)?.constructor?.name;
  return typeof name === 'string' && name !== 'Object' ? `an instance of ${shortened(name)}` : 'an object';
}

const MAX_LENGTH = 80;

function shortened(text: string): string {
  const line = text.replaceAll(/\s+/g, ' ');
  return line.length > MAX_LENGTH ? `${line.slice(0, MAX_LENGTH - 3)}…` : line;
}

/** Quotes a text in at most 80 characters, including escapes. */
function quoted(text: string): string {
  if (text.length <= MAX_LENGTH && JSON.stringify(text).length <= MAX_LENGTH + 2) return JSON.stringify(text);
  let start = text.slice(0, MAX_LENGTH - 3);
  while (JSON.stringify(start).length > MAX_LENGTH - 1) start = start.slice(0, -1);
  return `${JSON.stringify(start)}…`;
}

function describeFunction(value: { readonly name: unknown }): string {
  const name = typeof value.name === 'string' ? shortened(value.name) : '';
  if (name === '') return 'a function';
  return /^class\s/.test(Function.prototype.toString.call(value))
    ? `the class ${name}`
    : `the function ${name}`;
}
