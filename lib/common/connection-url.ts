/** What pg takes for an address: with any other scheme, or none, it asks for a host named "base". */
const ADDRESS = /^((postgres|postgresql|pg):\/\/|socket:|\/)/i;

/**
 * What was given instead of the URL of a server, or of the path of a socket; `undefined` when it is one. Shows no more
 * than a scheme: the rest may hold a password.
 */
export function describeNoUrl(given: string): string | undefined {
  if (given === '') return '""';
  if (!ADDRESS.test(given)) {
    const [scheme] = /^[a-z][a-z\d+.-]*:\/\//i.exec(given) ?? [];
    return scheme ? `one with ${scheme}` : 'something else (not shown, as it may hold a password)';
  }
  if (hasSeveralHosts(given)) return SEVERAL_HOSTS;
  return isCutShort(given) ? UNENCODED : undefined;
}

/** To stand in *expected …*. */
export const CONNECTION_URL = 'a URL with postgres:// or postgresql://, or the path of a socket';

/** Whether a URL lists hosts, as those of libpq may: `postgres://a,b/db`, `postgres:///db?host=a,b`. */
export function hasSeveralHosts(url: string): boolean {
  const { authority, query } = partsOf(url);
  const hosts = authority.slice(authority.lastIndexOf('@') + 1);
  return hosts.includes(',') || /(?:^|&)host=[^&]*(?:,|%2c)/i.test(query);
}

export const SEVERAL_HOSTS =
  'one with several hosts, while pg connects to one: name the primary, or an address that always leads to it';

/**
 * Whether user name and password end at a character that begins the next part of a URL: what pg would then take for host
 * and port, and show in its errors, is a piece of the password.
 */
function isCutShort(url: string): boolean {
  const { authority, path, query } = partsOf(url);
  const isFollowed = path.includes('@') || /^[^=&]*@/.test(query);
  return authority.includes(':') && !authority.includes('@') && isFollowed;
}

const UNENCODED =
  'one whose password has a character that ends it (not shown): write "/" as %2F, "?" as %3F and "#" as %23';

function partsOf(url: string): { readonly authority: string; readonly path: string; readonly query: string } {
  const [, authority = '', path = '', query = ''] =
    /^[a-z]+:\/\/([^/?#]*)([^?]*)(?:\?([^#]*))?/i.exec(url) ?? [];
  return { authority, path, query };
}
