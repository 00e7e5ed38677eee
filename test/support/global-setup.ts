import type { TestProject } from 'vitest/node';
import { startPostgres } from '../../tools/embedded-postgres.js';
import { withClient } from './client.js';
import { hasTerminal } from './command.js';
import { PgBouncer } from './pg-bouncer.js';
import { postgisInstallation } from './postgis.js';
import { dropTemplates } from './template.js';

declare module 'vitest' {
  interface ProvidedContext {
    serverUrl: string;
    /** The value of `server_version_num`: 110022, 180004. */
    serverVersion: number;
  }
}

/** Starts one server for all files; each file has its own database there. */
export default async function setup(project: TestProject): Promise<() => Promise<void>> {
  if (project.name === 'integration') sayWhatIsSkipped();
  const server = await startPostgres();
  project.provide('serverUrl', server.url);
  project.provide('serverVersion', await versionOf(server.url));
  return async () => {
    if (!server.isOurs) await dropTemplates(server.url);
    await server.stop();
  };
}

/** Logs the skipped tests, once for all projects. */
function sayWhatIsSkipped(): void {
  if (!PgBouncer.isInstalled)
    console.warn('No PgBouncer: tests with a pooler are skipped. Install one (Debian: pgbouncer).');
  if (postgisInstallation === undefined)
    console.warn(
      'No PostGIS: tests of spatial columns are skipped. Install it (Debian: postgresql-15-postgis-3).',
    );
  if (!hasTerminal) console.warn('No script(1) of util-linux: the test on a terminal is skipped.');
  if (process.env['DATABASE_URL'] !== undefined)
    console.warn('DATABASE_URL is set: tests that stop the server, or copy it to a standby, are skipped.');
}

const versionOf = (url: string): Promise<number> =>
  withClient(url, async (client) => {
    const { rows } = await client.query<{ server_version_num: string }>('show server_version_num');
    return Number(rows[0]?.server_version_num);
  });
