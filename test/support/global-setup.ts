import type { TestProject } from 'vitest/node';
import { startPostgres } from '../../tools/embedded-postgres.js';

declare module 'vitest' {
  interface ProvidedContext {
    serverUrl: string;
  }
}

/** One server for all files; each file has a database of its own there. */
export default async function setup(project: TestProject): Promise<() => Promise<void>> {
  const server = await startPostgres();
  project.provide('serverUrl', server.url);
  return server.stop;
}
