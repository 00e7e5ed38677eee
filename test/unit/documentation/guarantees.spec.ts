import { existsSync } from 'node:fs';
import ts from 'typescript';
import { describe, expect, it } from 'vitest';
import { locate, readText, sectionOf, tableOf } from '../../support/documents.js';

const text = readText('docs/guarantees.md');
const tests = readText('test/guarantees.md');

interface Statement {
  readonly says: string;
  /** `file > describe > test`. */
  readonly tests: readonly string[];
}

const statementsOf = (page: string): readonly Statement[] =>
  page
    .split(/^(?=- |#|\S.*:$)/m)
    .filter((part) => part.startsWith('- '))
    .map((part) => ({
      says: part.split(/\n(?: {2}- |\n)/)[0]?.trim() ?? '',
      tests: Array.from(part.matchAll(/^ {2}- (`+)(.+)\1$/gm), ([, , name = '']) => name.trim()),
    }));

const [promises = ''] = text.split('\n## Limits without a test\n');
const statements = statementsOf(tests);

describe('docs/guarantees.md', () => {
  it('has the table of the README', () => {
    const table = tableOf(text);
    expect(table.length).toBeGreaterThan(5);
    expect(table).toEqual(tableOf(sectionOf(readText('README.md'), '## Guarantees')));
  });

  it('has the statements of test/guarantees.md, in the same order', () => {
    expect(statements.length).toBeGreaterThan(50);
    expect(statementsOf(promises).map(({ says }) => says)).toEqual(statements.map(({ says }) => says));
  });
});

describe('test/guarantees.md', () => {
  it('names a test for each statement', () => {
    const without = statements.filter((statement) => statement.tests.length === 0);
    expect(without).toEqual([]);
  });

  it.each([...new Set(statements.flatMap((statement) => statement.tests))])(
    'names an existing test: %s',
    (name) => {
      const [file = ''] = name.split(' > ');
      expect(existsSync(locate(`test/${file}`)), file).toBe(true);
      expect(testsIn(file)).toContain(name);
    },
  );
});

/** Returns the names of the tests in a file, behind the names of their groups. */
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

/** Returns the title of `it('…', …)`, `describe.each(…)('…', …)` and similar calls. */
function titleOf(node: ts.Node): { kind: string; text: string } | undefined {
  if (!ts.isCallExpression(node) || !node.arguments[0] || !ts.isStringLiteralLike(node.arguments[0]))
    return undefined;
  let callee: ts.Node = node.expression;
  while (ts.isCallExpression(callee) || ts.isPropertyAccessExpression(callee)) callee = callee.expression;
  const kind = callee.getText();
  return kind === 'it' || kind === 'describe' ? { kind, text: node.arguments[0].text } : undefined;
}
