import { brandInstances, hasBrand } from './brand.js';
import { escapeControls, escapeStack } from './log-text.js';

/** Every `code` a {@link PgPubSubError} can carry. */
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

/** One of {@link ERROR_CODES}. When each is thrown, and what to do, stands in `docs/errors.md`. */
export type PgPubSubErrorCode = (typeof ERROR_CODES)[number];

const PG_PUB_SUB_ERROR = Symbol.for('nestjs-pgpubsub:error');
const NON_RETRYABLE_ERROR = Symbol.for('nestjs-pgpubsub:non-retryable-error');

/**
 * The one class of this library's errors. `code` tells them apart in programs, the message tells people what was
 * expected, what was given and the way out; `cause` is the error underneath, where there is one.
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
 * Thrown by the handler of a stored notification: trying again cannot help, it goes to the dead letters at once. For
 * a broadcast, which is never tried again, it is an error like any other.
 */
export class NonRetryableError extends Error {
  static {
    brandInstances(this, NON_RETRYABLE_ERROR);
  }

  override readonly name = 'NonRetryableError';
}

/** Whether an error is one of this library, of this copy of the package or of another. Never throws. */
export const isPgPubSubError = (error: unknown): error is PgPubSubError => hasBrand(error, PG_PUB_SUB_ERROR);

/** Whether a handler asks not to be retried. Never throws, whatever was thrown. */
export const isNonRetryable = (error: unknown): boolean => hasBrand(error, NON_RETRYABLE_ERROR);

/** Reports an error that can be neither thrown nor logged, as a warning of the process. Never throws. */
export function warnOf(error: unknown): void {
  const stack = stackOf(error);
  const message = escapeControls(messageOf(error));
  if (stack === undefined) return process.emitWarning(message);
  const warning = new Error(message); // the original may throw when it is shown
  warning.stack = escapeStack(stack);
  process.emitWarning(warning);
}

/** A value as error messages show it: short, and never more than a line. Never throws. */
export const describeValue = (value: unknown): string => described(() => describe(value), UNDESCRIBABLE);

/** The message of any thrown value. Never throws: its properties may be getters and proxies that do. */
export const messageOf = (error: unknown): string => described(() => findMessage(error, 0), UNDESCRIBABLE);

/** The stack of any thrown value; `undefined` when it has none. Never throws. */
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

/** Errors of errors are followed this far, and this many of each: they may contain themselves. */
const MAX_DEPTH = 3;
const MAX_ERRORS = 5;

function findMessage(error: unknown, depth: number): string {
  if (!(error instanceof Error)) return describe(error);
  const message: unknown = error.message;
  if (error instanceof AggregateError && message === '' && depth < MAX_DEPTH)
    return error.errors
      .slice(0, MAX_ERRORS)
      .map((one) => described(() => findMessage(one, depth + 1), UNDESCRIBABLE))
      .join('; '); // node: refused on ::1 and 127.0.0.1
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

/** One line of at most 80 characters. */
function shortened(text: string): string {
  const line = text.replaceAll(/\s+/g, ' ');
  return line.length > MAX_LENGTH ? `${line.slice(0, MAX_LENGTH - 3)}…` : line;
}

/** A text in quotes, of at most 80 characters: those that have to be escaped take more than one. */
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
