/** The parameters of a connection URL that hold secrets. */
const SECRETS = ['password', 'sslpassword'];

/** Returns the URL without passwords, or `postgres://…` when it cannot be parsed reliably. */
export function withoutPassword(databaseUrl: string): string {
  try {
    const url = new URL(databaseUrl);
    if (isCutShort(databaseUrl)) return HIDDEN;
    url.password = '';
    for (const name of SECRETS) if (url.searchParams.has(name)) url.searchParams.delete(name);
    return url.href;
  } catch {
    return HIDDEN; // pg accepts other forms than URLs, with a secret anywhere in them
  }
}

const HIDDEN = 'postgres://…';

/**
 * Whether the password contains an unescaped "/", "?" or "#", so that `URL` reads a part of it as
 * port and path.
 */
function isCutShort(databaseUrl: string): boolean {
  const [, authority = '', rest = ''] = /^[^:]+:\/\/([^/?#]*)(.*)$/s.exec(databaseUrl) ?? [];
  return authority.includes(':') && !authority.includes('@') && rest.includes('@');
}
