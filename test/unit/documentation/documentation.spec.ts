import { describe, expect, it } from 'vitest';
import { DOCUMENTS, readText } from '../../support/documents.js';

interface Region {
  readonly file: string;
  readonly code: string;
}

/** Returns the code blocks that name the file they come from. */
function regionsOf(document: string): Region[] {
  const blocks = document.matchAll(/<!-- (\S+) -->\n+```[jt]s\n([\s\S]*?)```/g);
  return Array.from(blocks, ([, file = '', code = '']) => ({ file, code }));
}

const SHOWING_CODE = DOCUMENTS.filter((document) => regionsOf(readText(document)).length > 0);

describe.each(SHOWING_CODE)('%s', (document) => {
  it.each(regionsOf(readText(document)))('shows code that is in $file', ({ file, code }) => {
    const source = readText(file);
    for (const part of code.split(/^ *\/\/ …\n/m)) expect(source).toContain(part);
  });
});

/** The pages that contain only code that tests run. Decision records also show rejected code. */
const WITH_TESTED_CODE_ONLY = DOCUMENTS.filter((document) => !document.startsWith('docs/decisions/'));

it.each(WITH_TESTED_CODE_ONLY)('%s shows no TypeScript or JavaScript that tests do not run', (document) => {
  const text = readText(document);
  const blocks = text.match(/^ *(?:```|~~~) *(?:[cm]?[jt]sx?|typescript|javascript)\b/gim) ?? [];
  expect(blocks).toHaveLength(regionsOf(text).length);
});

it('more than ten pages show code', () => {
  expect(SHOWING_CODE.length).toBeGreaterThan(10);
});
