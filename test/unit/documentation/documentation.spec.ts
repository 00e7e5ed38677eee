import { existsSync, readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { ERROR_CODES } from 'nestjs-pgpubsub';

const read = (path: string): string => readFileSync(at(path), 'utf8');

interface Region {
  readonly file: string;
  readonly code: string;
}

/** The blocks of code that say which file they come from. */
function regionsOf(document: string): Region[] {
  const blocks = document.matchAll(/<!-- (\S+) -->\n+```ts\n([\s\S]*?)```/g);
  return Array.from(blocks, ([, file = '', code = '']) => ({ file, code }));
}

const at = (path: string): URL => new URL(`../../../${path}`, import.meta.url);

describe.each(['README.md', 'docs/stored-notifications.md', 'docs/testing.md', 'docs/health.md'])(
  '%s',
  (document) => {
    const regions = regionsOf(read(document));

    it('shows code that is run', () => {
      expect(regions.length).toBeGreaterThan(2);
    });

    it.each(regions)('shows what stands in $file', ({ file, code }) => {
      const source = read(file);
      for (const part of code.split(/^ *\/\/ …\n/m)) expect(source).toContain(part);
    });
  },
);

it.each([
  'README.md',
  'ARCHITECTURE.md',
  'docs/stored-notifications.md',
  'docs/table-changes.md',
  'docs/testing.md',
])('%s has links that lead somewhere', (document) => {
  const links = Array.from(read(document).matchAll(/\]\((?!https?:)([^)#]+)\)/g), ([, path]) => path ?? '');
  for (const path of links) expect(existsSync(new URL(path, at(document))), path).toBe(true);
});

it('docs/errors.md lists every code, and no other', () => {
  const documented = Array.from(read('docs/errors.md').matchAll(/^\| `([A-Z_]+)`/gm), ([, code]) => code);
  expect(documented).toEqual([...ERROR_CODES]);
});
