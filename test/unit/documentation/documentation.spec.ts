import { describe, expect, it } from 'vitest';
import { DOCUMENTS, readText } from '../../support/documents.js';

interface Region {
  readonly file: string;
  readonly code: string;
}

/** The blocks of code that say which file they come from. */
function regionsOf(document: string): Region[] {
  const blocks = document.matchAll(/<!-- (\S+) -->\n+```[jt]s\n([\s\S]*?)```/g);
  return Array.from(blocks, ([, file = '', code = '']) => ({ file, code }));
}

const SHOWING_CODE = DOCUMENTS.filter((document) => regionsOf(readText(document)).length > 0);

describe.each(SHOWING_CODE)('%s', (document) => {
  it.each(regionsOf(readText(document)))('shows what stands in $file', ({ file, code }) => {
    const source = readText(file);
    for (const part of code.split(/^ *\/\/ …\n/m)) expect(source).toContain(part);
  });
});

/** Who follows these word by word gets what the tests run, and nothing else; decisions show what was considered. */
const SHOWING_NOTHING_ELSE = DOCUMENTS.filter((document) => !document.startsWith('docs/decisions/'));

it.each(SHOWING_NOTHING_ELSE)('%s shows no TypeScript or JavaScript that is not run', (document) => {
  const text = readText(document);
  const blocks = text.match(/^ *(?:```|~~~) *(?:[cm]?[jt]sx?|typescript|javascript)\b/gim) ?? [];
  expect(blocks).toHaveLength(regionsOf(text).length);
});

it('most pages for users show code', () => {
  expect(SHOWING_CODE.length).toBeGreaterThan(10);
});
