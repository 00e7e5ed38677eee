import { expect, it } from 'vitest';
import { ERROR_CODES } from '../../../lib/common/errors.js';
import { readText, sectionOf } from '../../support/documents.js';

const page = readText('docs/guides/troubleshooting.md').replaceAll(/^```[\s\S]*?^```/gm, '');

/** The log lines of docs/events.md with … for values. Another test compares them with the code. */
const lines = Array.from(
  sectionOf(readText('docs/events.md'), '## Events').matchAll(/`(?:log|warn|error): ([^`]*)`/g),
  ([, line = '']) => line.replaceAll(/\{\w+\}/g, '…'),
);

/** The log lines that the page quotes: sentences with an omission. */
const quotes = Array.from(
  page.matchAll(/`((?:[A-Z]|… )[a-z][^`(]*…[^`]*|… runs[^`]*)`/g),
  ([, text = '']) => text,
);

/** Whether the line contains all quoted parts in this order. */
function isOf(line: string, quote: string): boolean {
  let from = 0;
  for (const part of quote.split('…').map((text) => text.trim())) {
    const at = line.indexOf(part, from);
    if (at < 0) return false;
    from = at + part.length;
  }
  return true;
}

it('docs/guides/troubleshooting.md quotes log lines literally', () => {
  expect(lines.length).toBeGreaterThan(15);
  expect(quotes.length).toBeGreaterThan(6);
  expect(quotes.filter((quote) => !lines.some((line) => isOf(line, quote)))).toEqual([]);
});

it('docs/guides/troubleshooting.md names existing error codes', () => {
  const codes = Array.from(page.matchAll(/\b[A-Z]+_[A-Z_]+\b/g), ([code]) => code);
  const known = new Set<string>([...ERROR_CODES, 'DIRECT_URL']);
  expect(codes.length).toBeGreaterThan(2);
  expect(codes.filter((code) => !known.has(code))).toEqual([]);
});
