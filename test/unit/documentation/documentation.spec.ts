import { existsSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { ERROR_CODES } from 'nestjs-pgpubsub';

const read = (path: string): string => readFileSync(new URL(`../../../${path}`, import.meta.url), 'utf8');

interface Region {
  readonly file: string;
  readonly code: string;
}

/** The blocks of code that say which file they come from. */
function regionsOf(document: string): Region[] {
  const blocks = document.matchAll(/<!-- (\S+) -->\n+```ts\n([\s\S]*?)```/g);
  return Array.from(blocks, ([, file = '', code = '']) => ({ file, code }));
}

describe('the README', () => {
  const regions = regionsOf(read('README.md'));

  it('shows the sample application', () => {
    expect(regions.length).toBeGreaterThan(3);
  });

  it.each(regions)('shows what stands in $file', ({ file, code }) => {
    const source = read(file);
    for (const part of code.split(/^ *\/\/ …\n/m)) expect(source).toContain(part);
  });

  it('has links that lead somewhere', () => {
    const links = Array.from(read('README.md').matchAll(/\]\((?!https?:)([^)#]+)\)/g), ([, path]) => path);
    expect(links.length).toBeGreaterThan(2);
    for (const path of links)
      expect(existsSync(fileURLToPath(new URL(`../../../${path}`, import.meta.url))), path).toBe(true);
  });
});

it('docs/errors.md lists every code, and no other', () => {
  const documented = Array.from(read('docs/errors.md').matchAll(/^\| `([A-Z_]+)`/gm), ([, code]) => code);
  expect(documented).toEqual([...ERROR_CODES]);
});
