/** Parameters of a connection URL that are secrets. */
const SECRETS = ['password', 'sslpassword'];

/** The address of a database as people may see it: without passwords. */
export function withoutPassword(databaseUrl: string): string {
  try {
    const url = new URL(databaseUrl);
    if (isCutShort(databaseUrl)) return HIDDEN;
    url.password = '';
    for (const name of SECRETS) if (url.searchParams.has(name)) url.searchParams.delete(name);
    return url.href;
  } catch {
    return HIDDEN; // pg accepts forms that are no URL, and a secret may stand anywhere in them
  }
}

const HIDDEN = 'postgres://…';

/** Whether the password ends at a "/", "?" or "#" of its own, so that a piece of it counts as port and path of the URL. */
function isCutShort(databaseUrl: string): boolean {
  const [, authority = '', rest = ''] = /^[^:]+:\/\/([^/?#]*)(.*)$/s.exec(databaseUrl) ?? [];
  return authority.includes(':') && !authority.includes('@') && rest.includes('@');
}
