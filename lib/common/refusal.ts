/**
 * Has the server refused a statement, and is the connection as it was? Errors of the server have a severity (in its
 * language) and a code; those of the connection lack the first. Classes 08, 57P, 58 and XX end the connection, or leave
 * open what became of the statement.
 */
export const isRefusal = (error: unknown): boolean =>
  typeof error === 'object' &&
  error !== null &&
  'severity' in error &&
  'code' in error &&
  !/^(08|57P|58|XX)/.test(String(error.code));
