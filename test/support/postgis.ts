import fs from 'node:fs';
import path from 'node:path';
import { startPostgres } from '../../tools/embedded-postgres.js';

/** Where Debian and Ubuntu install PostgreSQL, one directory per version. */
const INSTALLATIONS = '/usr/lib/postgresql';
const EXTENSIONS = (version: string) => `/usr/share/postgresql/${version}/extension`;

/** The newest PostgreSQL of the system with PostGIS; the binaries from npm have no PostGIS. */
export const postgisInstallation = (fs.existsSync(INSTALLATIONS) ? fs.readdirSync(INSTALLATIONS) : [])
  .filter((version) => fs.existsSync(path.join(EXTENSIONS(version), 'postgis.control')))
  .toSorted((a, b) => Number(b) - Number(a))
  .map((version) => path.join(INSTALLATIONS, version))
  .find((directory) => fs.existsSync(path.join(directory, 'bin', 'initdb')));

/** A server of its own whose databases can have PostGIS; `stop` removes it. */
export async function startPostgis(): Promise<{ url: string; stop: () => Promise<void> }> {
  if (postgisInstallation === undefined) throw new Error('PostGIS is not installed');
  return startPostgres({ installation: postgisInstallation });
}
