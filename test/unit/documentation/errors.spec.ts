import { readdirSync } from 'node:fs';
import { ERROR_CODES } from 'nestjs-pgpubsub';
import ts from 'typescript';
import { describe, expect, it } from 'vitest';
import { locate, readText } from '../../support/documents.js';

interface Thrown {
  readonly place: string;
  /** `undefined` when it comes from an argument. */
  readonly code: string | undefined;
  /** The message, with … for inserted values. */
  readonly message: string;
}

const sources = readdirSync(locate('lib'), { recursive: true, encoding: 'utf8' })
  .filter((file) => file.endsWith('.ts'))
  .map((file) => {
    const path = `lib/${file.replaceAll('\\', '/')}`;
    return ts.createSourceFile(path, readText(path), ts.ScriptTarget.Latest, true);
  });
const all = sources.flatMap((source) => errorsBelow(source, source));
/** Without those of `lib/common/parse.ts` and re-thrown ones, which other tests check. */
const worded = all.filter(
  ({ message }) => message.startsWith('expected ') || message.includes(': expected '),
);

describe('the errors of lib/', () => {
  it('are found by this test', () => {
    expect(worded.length).toBeGreaterThan(35);
    expect(all.filter((error) => !worded.includes(error)).map(({ message }) => message)).toEqual([
      '…', // parse.ts: the message of parseShape()
      '…: …', // the error of a channel, behind the name of its listener
    ]);
  });

  it('state what was expected, what was given and the remedy', () => {
    const wanting = worded.filter(({ message }) => !/expected .*, got:? .*\. (…|[A-Z…].*\.)$/s.test(message));
    expect(wanting.map(({ place, message }) => `${place}: ${message}`)).toEqual([]);
  });

  it('have exactly the codes in ERROR_CODES', () => {
    const codes = sources.flatMap((source) => codesBelow(source));
    expect([...new Set(codes)].toSorted()).toEqual(ERROR_CODES.toSorted());
  });
});

it('docs/errors.md lists exactly the error codes, each with its cause and its remedy', () => {
  const entries = readText('docs/errors.md').matchAll(/^- `(\w+)`(?: \(.+?\))?: (.+)$/gm);
  const found = Array.from(entries, ([, code, text = '']) => ({ code, text }));
  expect(found.map(({ code }) => code)).toEqual(ERROR_CODES);
  expect(found.filter(({ text }) => !/\. [A-Z].*\.$/.test(text))).toEqual([]);
});

function errorsBelow(node: ts.Node, source: ts.SourceFile): Thrown[] {
  const below = childrenOf(node).flatMap((child) => errorsBelow(child, source));
  if (!ts.isNewExpression(node) || node.expression.getText() !== 'PgPubSubError') return below;
  const [code, message] = node.arguments ?? [];
  const { line } = source.getLineAndCharacterOfPosition(node.getStart());
  const error = {
    place: `${source.fileName}:${line + 1}`,
    code: code && ts.isStringLiteral(code) ? code.text : undefined,
    message: message ? textOf(message) : '',
  };
  return [error, ...below];
}

/** Returns the codes in the source, whether they are thrown or passed to `parseShape()`. */
function codesBelow(node: ts.Node): string[] {
  const parent = node.parent;
  const isThrown = ts.isStringLiteral(node) && ts.isNewExpression(parent) && parent.arguments?.[0] === node;
  const isHanded =
    ts.isStringLiteral(node) && ts.isPropertyAssignment(parent) && parent.name.getText() === 'code';
  const own = isHanded || (isThrown && parent.expression.getText() === 'PgPubSubError') ? [node.text] : [];
  return [...own, ...childrenOf(node).flatMap(codesBelow)];
}

/** Returns the literal text of an expression, with … for the rest. */
function textOf(node: ts.Expression): string {
  if (ts.isStringLiteralLike(node)) return node.text;
  if (ts.isBinaryExpression(node)) return textOf(node.left) + textOf(node.right);
  if (!ts.isTemplateExpression(node)) return '…';
  return node.head.text + node.templateSpans.map(({ literal }) => `…${literal.text}`).join('');
}

function childrenOf(node: ts.Node): ts.Node[] {
  const children: ts.Node[] = [];
  node.forEachChild((child) => void children.push(child));
  return children;
}
