import { expect, it } from 'vitest';
import { ERROR_CODES } from '../../../lib/common/errors.js';
import { readText, sectionOf } from '../../support/documents.js';

const page = readText('docs/guides/troubleshooting.md').replaceAll(/^```[\s\S]*?^```/gm, '');

/** The log lines of docs/events.md (which a test compares with the code), what is filled in as `…`. */
const lines = Array.from(
  sectionOf(readText('docs/events.md'), '## Events').matchAll(/`(?:log|warn|error): ([^`]*)`/g),
  ([, line = '']) => line.replaceAll(/\{\w+\}/g, '…'),
);

/** What the page quotes of the log: a sentence with something left out. */
const quotes = Array.from(
  page.matchAll(/`((?:[A-Z]|… )[a-z][^`(]*…[^`]*|… runs[^`]*)`/g),
  ([, text = '']) => text,
);

/** Whether all that is quoted stands in the line, in this order. */
function isOf(line: string, quote: string): boolean {
  let from = 0;
  for (const part of quote.split('…').map((text) => text.trim())) {
    const at = line.indexOf(part, from);
    if (at < 0) return false;
    from = at + part.length;
  }
  return true;
}

it('docs/guides/troubleshooting.md quotes log lines as they are', () => {
  expect(lines.length).toBeGreaterThan(15);
  expect(quotes.length).toBeGreaterThan(6);
  expect(quotes.filter((quote) => !lines.some((line) => isOf(line, quote)))).toEqual([]);
});

it('docs/guides/troubleshooting.md names codes that are there', () => {
  const codes = Array.from(page.matchAll(/\b[A-Z]+_[A-Z_]+\b/g), ([code]) => code);
  const known = new Set<string>([...ERROR_CODES, 'DIRECT_URL']);
  expect(codes.length).toBeGreaterThan(2);
  expect(codes.filter((code) => !known.has(code))).toEqual([]);
});
