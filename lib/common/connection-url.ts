/** The addresses that pg accepts. With another scheme, or none, pg looks up a host named "base". */
const ADDRESS = /^((postgres|postgresql|pg):\/\/|socket:|\/)/i;

/**
 * Returns what is wrong with an address, or `undefined` if pg can connect to it. Shows at most the
 * scheme, because the rest may contain a password.
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

export const CONNECTION_URL = 'a URL with postgres:// or postgresql://, or the path of a socket';

/** Whether a URL lists several hosts, as in libpq: `postgres://a,b/db`, `postgres:///?host=a,b`. */
export function hasSeveralHosts(url: string): boolean {
  const { authority, query } = partsOf(url);
  const hosts = authority.slice(authority.lastIndexOf('@') + 1);
  return hosts.includes(',') || /(?:^|&)host=[^&]*(?:,|%2c)/i.test(query);
}

export const SEVERAL_HOSTS =
  'one with several hosts, while pg connects to only one: name the primary, or an address that always leads to it';

/**
 * Whether an unencoded "/", "?" or "#" ends the password too early. pg would then take a piece of
 * the password for host and port, and show it in its errors.
 */
function isCutShort(url: string): boolean {
  const { authority, path, query } = partsOf(url);
  const isFollowed = path.includes('@') || /^[^=&]*@/.test(query);
  return authority.includes(':') && !authority.includes('@') && isFollowed;
}

const UNENCODED =
  'one with an unencoded character in its password (not shown): write "/" as %2F, "?" as %3F and "#" as %23';

function partsOf(url: string): { readonly authority: string; readonly path: string; readonly query: string } {
  const [, authority = '', path = '', query = ''] =
    /^[a-z]+:\/\/([^/?#]*)([^?]*)(?:\?([^#]*))?/i.exec(url) ?? [];
  return { authority, path, query };
}
