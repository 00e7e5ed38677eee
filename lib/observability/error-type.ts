import { isPgPubSubError } from '../common/errors.js';

/**
 * Returns the value of the attribute `error.type`: the code of the library's own errors, else the
 * class of the error. Never uses a name or code that an application may compose at run time,
 * because each would be a time series of its own.
 */
export function errorTypeOf(error: unknown): string {
  if (isPgPubSubError(error)) return error.code;
  return error instanceof Error ? error.constructor.name || OTHER : OTHER;
}

/** The fallback value that the OpenTelemetry conventions define. */
export const OTHER = '_OTHER';
