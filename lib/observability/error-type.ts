import { isPgPubSubError } from '../common/errors.js';

/**
 * What `error.type` says: the code of the library's own errors, else the class. Never a name or code that an application
 * may compose at run time, each of which would be a time series of its own.
 */
export function errorTypeOf(error: unknown): string {
  if (isPgPubSubError(error)) return error.code;
  return error instanceof Error ? error.constructor.name || OTHER : OTHER;
}

/** What the OpenTelemetry conventions call what has no name, or too many. */
export const OTHER = '_OTHER';
