/** What pg takes for an address: with any other scheme, or none, it asks for a host named "base". */
const ADDRESS = /^((postgres|postgresql|pg):\/\/|socket:|\/)/i;

/**
 * What was given instead of the URL of a server, or of the path of a socket; `undefined` when it is one. Shows no more
 * than a scheme: the rest may hold a password.
 */
export function describeNoUrl(given: string): string | undefined {
  if (ADDRESS.test(given)) return undefined;
  if (given === '') return '""';
  const [scheme] = /^[a-z][a-z\d+.-]*:\/\//i.exec(given) ?? [];
  return scheme ? `one with ${scheme}` : 'something else (not shown, as it may hold a password)';
}

/** To stand in *expected …*. */
export const CONNECTION_URL = 'a URL with postgres:// or postgresql://, or the path of a socket';
