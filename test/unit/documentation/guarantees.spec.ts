import { existsSync } from 'node:fs';
import ts from 'typescript';
import { describe, expect, it } from 'vitest';
import { locate, readText, sectionOf, tableOf } from '../../support/documents.js';

const text = readText('docs/guarantees.md');

interface Sentence {
  readonly says: string;
  /** `file > describe > test`. */
  readonly tests: readonly string[];
}

const sentences: readonly Sentence[] = text
  .split(/^(?=- |## )/m)
  .filter((part) => part.startsWith('- '))
  .map((part) => ({
    says: part.split('\n')[0] ?? '',
    tests: Array.from(part.matchAll(/^ {2}- (`+)(.+)\1$/gm), ([, , name = '']) => name.trim()),
  }));
const unshown = sectionOf(text, '## Limits without a test');

describe('docs/guarantees.md', () => {
  it('has the table of the README', () => {
    const table = tableOf(text);
    expect(table.length).toBeGreaterThan(5);
    expect(table).toEqual(tableOf(sectionOf(readText('README.md'), '## What is promised')));
  });

  it('names a test for each sentence, but for those it says have none', () => {
    expect(sentences.length).toBeGreaterThan(50);
    const without = sentences.filter(({ tests }) => tests.length === 0).map(({ says }) => says);
    expect(without.filter((says) => !unshown.includes(says))).toEqual([]);
  });

  it.each([...new Set(sentences.flatMap(({ tests }) => tests))])('names a test that is there: %s', (name) => {
    const [file = ''] = name.split(' > ');
    expect(existsSync(locate(`test/${file}`)), file).toBe(true);
    expect(testsIn(file)).toContain(name);
  });
});

/** The names of the tests in a file, with those of the groups they are in, as they are written. */
function testsIn(file: string): string[] {
  const source = ts.createSourceFile(file, readText(`test/${file}`), ts.ScriptTarget.Latest, true);
  return namesBelow(source, file);
}

function namesBelow(node: ts.Node, path: string): string[] {
  const names: string[] = [];
  node.forEachChild((child) => {
    const title = titleOf(child);
    if (title?.kind === 'it') names.push(`${path} > ${title.text}`);
    else names.push(...namesBelow(child, title ? `${path} > ${title.text}` : path));
  });
  return names;
}

/** Of `it('…', …)`, `describe.each(…)('…', …)` and the like. */
function titleOf(node: ts.Node): { kind: string; text: string } | undefined {
  if (!ts.isCallExpression(node) || !node.arguments[0] || !ts.isStringLiteralLike(node.arguments[0]))
    return undefined;
  let callee: ts.Node = node.expression;
  while (ts.isCallExpression(callee) || ts.isPropertyAccessExpression(callee)) callee = callee.expression;
  const kind = callee.getText();
  return kind === 'it' || kind === 'describe' ? { kind, text: node.arguments[0].text } : undefined;
}
