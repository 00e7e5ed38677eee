import { expect, it } from 'vitest';
import { blocksOf, readText, sectionOf, tableOf } from '../../support/documents.js';

interface PackageJson {
  readonly scripts?: Record<string, string>;
  readonly dependencies: Record<string, string>;
  readonly devDependencies?: Record<string, string>;
  readonly jest?: { readonly transformIgnorePatterns: [string] };
}

const page = readText('docs/guides/builders.md');
const CONSUMERS = ['nest11-team', 'nest12-team', 'pnpm'].map((name) => `test/consumers/${name}/package.json`);
const [nest11 = '', nest12 = '', pnpm = ''] = CONSUMERS.map(readText);
const packages = [nest11, nest12, pnpm].map((text) => JSON.parse(text) as PackageJson);
const [{ jest } = { dependencies: {} } as PackageJson] = packages;

// `npm run test:consumers` runs the tests of the consumers with these versions
it('docs/guides/builders.md names the versions that the consumers install', () => {
  const rows = tableOf(sectionOf(page, '## Tested combinations'));
  expect(rows.length).toBeGreaterThan(10);
  for (const [, name = '', version] of rows) {
    const installed = packages.flatMap(({ dependencies, devDependencies }) => {
      const found = { ...dependencies, ...devDependencies }[name.replaceAll('`', '')];
      return found ?? [];
    });
    expect(installed, name).toContain(version);
  }
});

it('docs/guides/builders.md shows the configuration of the consumers', () => {
  const blocks = blocksOf(page, 'json');
  expect(blocks).toHaveLength(2);
  const configuration = nest11 + readText('test/consumers/nest12-team/.swcrc');
  for (const block of blocks) expect(configuration).toContain(block);
});

it('docs/guides/builders.md shows the commands of the consumers', () => {
  const commands = blocksOf(page, 'sh').map((block) => block.trim().replaceAll(/\s*\\\n\s*/g, ' '));
  expect(commands).toHaveLength(2);
  for (const command of commands) expect(Object.values(packages[0]?.scripts ?? {})).toContain(command);
  expect(page).toContain(packages[1]?.scripts?.['test:jest']);
});

it('docs/nest.md shows the pattern for Jest of the consumers', () => {
  const [pattern = ''] = jest?.transformIgnorePatterns ?? [];
  expect(readText('docs/nest.md')).toContain(`'${pattern}'`);
});

it.each([
  ['transforms the library of npm', '/app/node_modules/nestjs-pgpubsub/dist/index.js', false],
  [
    'transforms the library of pnpm',
    '/app/node_modules/.pnpm/nestjs-pgpubsub@0.1.0_pg@8.23.1/node_modules/nestjs-pgpubsub/dist/index.js',
    false,
  ],
  ['ignores other packages of npm', '/app/node_modules/pg/lib/index.js', true],
  ['ignores other packages of pnpm', '/app/node_modules/.pnpm/pg@8.23.1/node_modules/pg/lib/index.js', true],
])('the pattern for Jest %s', (_, file, isIgnored) => {
  const [pattern = ''] = jest?.transformIgnorePatterns ?? [];
  expect(new RegExp(pattern).test(file)).toBe(isIgnored);
});
