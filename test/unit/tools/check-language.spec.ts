import { describe, expect, it } from 'vitest';
import { PLAIN_WORDS, WEAK_STARTS, checkLanguage } from '../../../tools/check-language.js';

/** The lines and columns with findings. */
const places = (text: string, file = 'lib/room/file.ts') => [
  ...new Set(checkLanguage(file, text).map((finding) => finding.slice(file.length + 1).replace(/ .*$/s, ''))),
];

describe('checkLanguage()', () => {
  it('states the place and the remedy in one line', () => {
    expect(checkLanguage('lib/a.ts', '/** Of the row. */')).toEqual([
      'lib/a.ts:1:5  Begin the sentence with a noun or a verb, not with "Of".',
    ]);
    expect(checkLanguage('a.md', 'Try anew.')).toEqual(['a.md:1:5  Write "again" instead of "anew".']);
  });

  it.each(WEAK_STARTS)('rejects a comment that begins with "%s"', (start) => {
    expect(places(`// ${start} the row`)).toEqual(['1:4']);
    expect(places(`// ${start.toLowerCase()} the row`)).toEqual(['1:4']);
  });

  it.each(Object.keys(PLAIN_WORDS))('rejects the word "%s"', (word) => {
    expect(places(`// The row ${word} here`)).toEqual(['1:12']);
  });

  it.each([
    ['a comment behind code', 'f(); // of the row', '1:9'],
    ['the second sentence of a comment', '/** The row. It waits. */', '1:14'],
    ['a sentence in the second of two line comments', '// The row waits.\n// Of all rows, one.', '2:4'],
    ['a sentence after one that ends in the line before', '/**\n * The row.\n * Who waits?\n */', '3:4'],
    ['the description of a parameter', '/** @param {string} row of the table */', '1:25'],
    ['an item of a list', '/**\n * The row:\n * - of the table\n */', '3:6'],
    ['a comment before a closing brace', 'function f() {\n  // of the row\n}', '2:6'],
    ['the name of a test', "it('of the row', () => {});", '1:5'],
    ['the name of a test with rows', "it.each([])('of the row', () => {});", '1:14'],
    ['an unclear word in a string', "throw new Error('Nobody listens.');", '1:18'],
    ['an unclear word in a template', 'log(`${name}: nobody listens`);', '1:15'],
  ])('rejects %s', (_what, text, place) => {
    expect(places(text)).toEqual([place]);
  });

  it.each([
    ['code', 'const of = what(it);'],
    ['code in a comment', '/** `of` the row */'],
    [
      'a word that only begins like a weak start',
      '// Offset of the row. Items of it. By-products. Whatever comes.',
    ],
    ['an allowed start', '// By default, the row waits.'],
    ['the start of a string', "f('of the row');"],
    ['a directive of a tool', '// @ts-expect-error of the row'],
    ['a number with a fraction', '// The rate is 1.5 of the base.'],
  ])('accepts %s', (_what, text) => {
    expect(places(text)).toEqual([]);
  });

  it('rejects a line that holds only a comment and is wider than 100 columns', () => {
    const words = 'word '.repeat(20);
    expect(places(`  // ${words}`.slice(0, 100))).toEqual([]);
    expect(places(`  // ${words}words`)).toEqual(['1:1']);
    expect(places(`f();\n/**\n * ${words}words\n */`)).toEqual(['3:1']);
  });

  it('accepts a wide line of code with a comment behind it', () => {
    expect(places(`f(${'word, '.repeat(16)}); // the words`)).toEqual([]);
  });
});

describe('checkLanguage() of a Markdown file', () => {
  it.each([
    ['a paragraph', 'Text.\n\nOf the row.', '3:1'],
    ['the second sentence of a paragraph', 'The row waits.\nIt is claimed.', '2:1'],
    ['a heading', '## What it does', '1:4'],
    ['an item of a list', '- By the row', '1:3'],
    ['a cell of a table', '| row | what waits |\n| --- | --- |', '1:9'],
    ['a sentence after bold text', '**The row.** It waits.', '1:14'],
    ['the text of a link', '[Who waits](a.md)', '1:2'],
  ])('rejects %s', (_what, text, place) => {
    expect(places(text, 'docs/page.md')).toEqual([place]);
  });

  it.each([
    ['a block of code', '```ts\n// of the row\n```'],
    ['code in a sentence', '`what` waits. `it` waits.'],
    ['the address of a link', 'The [row](of/nobody.md).'],
    ['a sentence that goes on in the next line', 'The row\nof the table.'],
  ])('accepts %s', (_what, text) => {
    expect(places(text, 'docs/page.md')).toEqual([]);
  });
});
