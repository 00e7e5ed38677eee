import os from 'node:os';
import { fileURLToPath } from 'node:url';
import { defineConfig } from 'vitest/config';

const fromHere = (path: string) => fileURLToPath(new URL(path, import.meta.url));

const database = {
  globalSetup: ['test/support/global-setup.ts'],
  // Most tests wait for the server or for a process: one worker more than there are processors. The
  // upper limit keeps the sum of their connections below the server's max_connections.
  maxWorkers: Math.min(os.availableParallelism() + 1, 4),
  sequence: { groupOrder: 1 }, // after the unit tests, which have another number of workers
  testTimeout: 120_000,
  hookTimeout: 120_000,
};

export default defineConfig({
  resolve: {
    alias: [
      { find: 'nestjs-pgpubsub/terminus', replacement: fromHere('./lib/terminus/pubsub.health.ts') },
      { find: 'nestjs-pgpubsub/testing', replacement: fromHere('./lib/testing/testing.ts') },
      { find: 'nestjs-pgpubsub', replacement: fromHere('./lib/index.ts') },
    ],
  },
  test: {
    projects: [
      // no state to keep apart: starting workers would take longer than the tests
      { extends: true, test: { name: 'unit', include: ['test/unit/**/*.spec.ts'], isolate: false } },
      {
        extends: true,
        test: { name: 'integration', include: ['test/integration/**/*.spec.ts'], ...database },
      },
      {
        extends: true,
        test: { name: 'e2e', include: ['test/e2e/**/*.spec.ts'], ...database },
      },
      {
        extends: true,
        test: {
          name: 'browser',
          include: ['test/browser/**/*.spec.ts'],
          ...database,
          globalSetup: [...database.globalSetup, 'test/support/browser-setup.ts'],
        },
      },
    ],
  },
});
