/** Parameters of a connection URL that are secrets. */
const SECRETS = ['password', 'sslpassword'];

/** The address of a database as people may see it: without passwords. */
export function withoutPassword(databaseUrl: string): string {
  try {
    const url = new URL(databaseUrl);
    url.password = '';
    for (const name of SECRETS) if (url.searchParams.has(name)) url.searchParams.delete(name);
    return url.href;
  } catch {
    return 'postgres://…'; // pg accepts forms that are no URL, and a secret may stand anywhere in them
  }
}
