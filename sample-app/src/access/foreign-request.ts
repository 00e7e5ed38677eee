import type { IncomingHttpHeaders } from 'node:http';
import { isIP } from 'node:net';

/** The parts of a request that show which page sent it. */
export interface RequestSource {
  readonly method?: string | undefined;
  readonly url?: string | undefined;
  readonly headers: IncomingHttpHeaders;
}

/**
 * Returns an error message when a page of another site sent the request, else `undefined`. Any page
 * that is open in a browser can send requests to programs on the same computer. Signs of such a
 * request:
 *
 * - `Host` is neither localhost, an IP address nor one of `allowedHosts`: the name of another site
 *   was pointed at this computer (DNS rebinding), and the pages of that site could read every
 *   response.
 * - `Origin` or `Sec-Fetch-Site` is that of another site or port. Links from other sites to `/` are
 *   allowed.
 *
 * Other programs, such as curl, send neither `Origin` nor `Sec-Fetch-Site`.
 */
export function findForeign(request: RequestSource, allowedHosts: readonly string[]): string | undefined {
  const { host = '', origin, 'sec-fetch-site': site } = request.headers;
  if (!isOwnHost(host, allowedHosts))
    return `expected the header "Host" to be localhost, an IP address or a name in ALLOWED_HOSTS, got "${host}". Open the page at one of these, or add the name to ALLOWED_HOSTS.`;
  if (origin !== undefined && !isSameOrigin(origin, host))
    return `expected a request from a page of this site, got one from "${origin}". Open http://${host}.`;
  if (site === undefined || site === 'same-origin' || site === 'none' || isNavigation(request))
    return undefined;
  return `expected a request from a page of this site, got one from another site. Open http://${host}.`;
}

function isOwnHost(host: string, allowedHosts: readonly string[]): boolean {
  if (!/^(?:[\w.-]+|\[[\da-f:.]+\])(?::\d+)?$/i.test(host) || !URL.canParse(`http://${host}`)) return false;
  const name = host.replace(/:\d+$/, '').toLowerCase();
  const isAddress = isIP(name.replaceAll(/[[\]]/g, '')) > 0;
  return isAddress || name === 'localhost' || name.endsWith('.localhost') || allowedHosts.includes(name);
}

/** Compares host and port only: a proxy may serve the page by HTTPS. */
function isSameOrigin(origin: string, host: string): boolean {
  const scheme = /^https?:\/\//.exec(origin)?.[0];
  return scheme !== undefined && URL.canParse(origin) && new URL(origin).host === new URL(scheme + host).host;
}

const isNavigation = ({ method, url, headers }: RequestSource): boolean =>
  method === 'GET' && url === '/' && headers['sec-fetch-mode'] === 'navigate';
