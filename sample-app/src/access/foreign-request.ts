import type { IncomingHttpHeaders } from 'node:http';
import { isIP } from 'node:net';

/** The parts of a request that say which page it comes from. */
export interface RequestSource {
  readonly method?: string | undefined;
  readonly url?: string | undefined;
  readonly headers: IncomingHttpHeaders;
}

/**
 * Returns a sentence when a page of another site makes the request, else nothing. Browsers send such requests for any
 * page that the visitor opens, also to programs of the visitor's own computer:
 *
 * - `Host` names neither this computer, an address nor one of `allowedHosts`: a site whose name was pointed at this computer
 *   (DNS rebinding). Its pages could read every answer.
 * - `Origin`, or `Sec-Fetch-Site`, is that of another site or port. Only the page itself may be opened by a link.
 *
 * Other programs, such as curl, send neither `Origin` nor `Sec-Fetch-Site`.
 */
export function findForeign(request: RequestSource, allowedHosts: readonly string[]): string | undefined {
  const { host = '', origin, 'sec-fetch-site': site } = request.headers;
  if (!isOwnHost(host, allowedHosts))
    return `expected the header "Host" to be localhost, an IP address or a name in ALLOWED_HOSTS, got "${host}". Open the page by one of these, or add the name.`;
  if (origin !== undefined && !isSameOrigin(origin, host))
    return `expected a request of this site's own pages, got one of "${origin}". Open http://${host} itself.`;
  if (site === undefined || site === 'same-origin' || site === 'none' || isVisit(request)) return undefined;
  return `expected a request of this site's own pages, got one of another site. Open http://${host} itself.`;
}

function isOwnHost(host: string, allowedHosts: readonly string[]): boolean {
  if (!/^(?:[\w.-]+|\[[\da-f:.]+\])(?::\d+)?$/i.test(host) || !URL.canParse(`http://${host}`)) return false;
  const name = host.replace(/:\d+$/, '').toLowerCase();
  const isAddress = isIP(name.replaceAll(/[[\]]/g, '')) > 0;
  return isAddress || name === 'localhost' || name.endsWith('.localhost') || allowedHosts.includes(name);
}

/** Behind a proxy the page may be served by https. */
function isSameOrigin(origin: string, host: string): boolean {
  const scheme = /^https?:\/\//.exec(origin)?.[0];
  return scheme !== undefined && URL.canParse(origin) && new URL(origin).host === new URL(scheme + host).host;
}

const isVisit = ({ method, url, headers }: RequestSource): boolean =>
  method === 'GET' && url === '/' && headers['sec-fetch-mode'] === 'navigate';
