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

/**
 * The one class of this library's errors. `code` tells them apart in programs, the message tells people what was
 * expected, what was given and the way out; `cause` is the error underneath, where there is one.
 */
export class PgPubSubError extends Error {
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
  override readonly name = 'NonRetryableError';
}

/** Whether a handler asks not to be retried. Never throws, whatever was thrown. */
export const isNonRetryable = (error: unknown): boolean =>
  described(() => error instanceof NonRetryableError, false);

/** Reports an error that can be neither thrown nor logged, as a warning of the process. */
export const warnOf = (error: unknown): void =>
  process.emitWarning(described(() => (error instanceof Error ? error : messageOf(error)), UNDESCRIBABLE));

/** A value as error messages show it: short, and never more than a line. Never throws. */
export const describeValue = (value: unknown): string => described(() => describe(value), UNDESCRIBABLE);

/** The message of any thrown value. Never throws: its properties may be getters and proxies that do. */
export const messageOf = (error: unknown): string => described(() => findMessage(error), UNDESCRIBABLE);

/** The stack of any thrown value; `undefined` when it has none. Never throws. */
export const stackOf = (error: unknown): string | undefined =>
  described(
    () => (error instanceof Error && typeof error.stack === 'string' ? error.stack : undefined),
    undefined,
  );

const UNDESCRIBABLE = 'a value that cannot be described: reading it throws';

function described<T>(read: () => T, otherwise: T): T {
  try {
    return read();
  } catch {
    return otherwise;
  }
}

function findMessage(error: unknown): string {
  if (!(error instanceof Error)) return describe(error);
  if (error instanceof AggregateError && error.message === '') return error.errors.map(messageOf).join('; '); // node: refused on ::1 and 127.0.0.1
  return typeof error.message === 'string' ? error.message : describe(error.message);
}

function describe(value: unknown): string {
  if (typeof value === 'string')
    return value.length > 80 ? `${JSON.stringify(value.slice(0, 77))}…` : JSON.stringify(value);
  if (typeof value === 'function') return value.name === '' ? 'a function' : describeFunction(value);
  if (value === null || typeof value !== 'object') return shortened(String(value));
  if (Array.isArray(value)) return 'an array';
  const name: unknown = Object.getPrototypeOf(value)?.constructor?.name;
  return typeof name === 'string' && name !== 'Object' ? `an instance of ${name}` : 'an object';
}

const shortened = (text: string): string => {
  const line = text.replaceAll(/\s+/g, ' ');
  return line.length > 80 ? `${line.slice(0, 77)}…` : line;
};

function describeFunction(value: { readonly name: string }): string {
  return /^class\s/.test(Function.prototype.toString.call(value))
    ? `the class ${value.name}`
    : `the function ${value.name}`;
}
