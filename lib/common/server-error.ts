/**
 * Whether the server rejected a statement and the connection is still usable. Errors of the server
 * have a severity (in the server's language) and a code; errors of the connection have no severity.
 * Classes 08, 57P, 58 and XX end the connection, or leave the result of the statement unknown.
 */
export const isServerError = (error: unknown): error is { readonly code: string } =>
  typeof error === 'object' &&
  error !== null &&
  'severity' in error &&
  'code' in error &&
  typeof error.code === 'string' &&
  !/^(08|57P|58|XX)/.test(error.code);
