import { existsSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { DOCUMENTS, locate, readText } from '../../support/documents.js';

interface Region {
  readonly file: string;
  readonly code: string;
}

/** The blocks of code that say which file they come from. */
function regionsOf(document: string): Region[] {
  const blocks = document.matchAll(/<!-- (\S+) -->\n+```ts\n([\s\S]*?)```/g);
  return Array.from(blocks, ([, file = '', code = '']) => ({ file, code }));
}

const SHOWING_CODE = [
  'README.md',
  'docs/stored-notifications.md',
  'docs/operations.md',
  'docs/testing.md',
  'docs/health.md',
];

describe.each(SHOWING_CODE)('%s', (document) => {
  const regions = regionsOf(readText(document));

  it('shows code that is run', () => {
    expect(regions.length).toBeGreaterThan(2);
  });

  it.each(regions)('shows what stands in $file', ({ file, code }) => {
    const source = readText(file);
    for (const part of code.split(/^ *\/\/ …\n/m)) expect(source).toContain(part);
  });
});

it.each(DOCUMENTS)('%s has links that lead somewhere', (document) => {
  const text = readText(document);
  const links = Array.from(text.matchAll(/\]\((?!https?:)([^)#]+)\)/g), ([, path]) => path ?? '');
  for (const path of links) expect(existsSync(new URL(path, locate(document))), path).toBe(true);
});
