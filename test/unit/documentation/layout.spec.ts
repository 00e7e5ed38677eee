import { expect, it } from 'vitest';
import { DOCUMENTS, readText } from '../../support/documents.js';

/** The longest line of code that the site and GitHub show without scrolling. */
const MAX_COLUMNS = 80;
const MAX_INTRODUCTION_WORDS = 40;

/** The lines of code that are too long, with their line numbers. */
function wideLinesOf(document: string): string[] {
  let fence: string | undefined;
  return readText(document)
    .split('\n')
    .flatMap((line, index) => {
      const [, mark] = /^ *(```|~~~)/.exec(line) ?? [];
      if (mark !== undefined && (fence === undefined || fence === mark)) {
        fence = fence === undefined ? mark : undefined;
        return [];
      }
      return fence !== undefined && line.length > MAX_COLUMNS ? [`${index + 1}: ${line}`] : [];
    });
}

/** The first paragraph below the title. */
function introductionOf(document: string): string {
  const [, introduction = ''] = /^# .*\n\s*\n((?:.+\n)+)/m.exec(readText(document)) ?? [];
  return introduction.trim();
}

it.each(DOCUMENTS)('%s shows code of at most 80 columns', (document) => {
  expect(wideLinesOf(document)).toEqual([]);
});

/** Decision records have a form of their own. */
const PAGES = DOCUMENTS.filter((document) => !document.startsWith('docs/decisions/'));

it.each(PAGES)('%s begins with a short paragraph of prose', (document) => {
  const introduction = introductionOf(document);
  expect(introduction).toMatch(/^[\p{L}`*[][^|]*[.:]$/su); // prose, and no list, table, picture or code
  expect(introduction.split(/\s+/).length).toBeLessThanOrEqual(MAX_INTRODUCTION_WORDS);
});
