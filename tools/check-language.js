#!/usr/bin/env node
// @ts-check
/**
 * Checks the language of comments, test names and documentation, and prints one line per finding:
 * `node tools/check-language.js [file ...]`, without files for all that Git knows.
 *
 * 1. A sentence begins with a noun or a verb, not with one of `WEAK_STARTS`.
 * 2. Words that a newcomer has to decode are replaced as in `PLAIN_WORDS`. This also applies to the
 *    strings of lib/, which are errors, log lines and help.
 * 3. A line with only a comment has at most 100 columns.
 *
 * Code in comments and in Markdown is ignored. The check knows words, but no grammar: a review is
 * still necessary.
 */
import { execFileSync } from 'node:child_process';
import fs from 'node:fs';
import { fileURLToPath } from 'node:url';
import ts from 'typescript';

export const MAX_COMMENT_COLUMN = 100;

/**
 * Words that must not begin a sentence, because the reader does not know yet what they refer to.
 */
export const WEAK_STARTS = ['Of', 'What', 'Who', 'Whose', 'By', 'It', 'Is there', 'Nobody', 'Somebody'];

/** Sentences that may begin with such a word: titles that are linked to, and fixed expressions. */
export const ALLOWED_STARTS = ['By default', 'What main.ts does first', 'Who may send'];

/** Words that a newcomer has to decode, with their replacements. */
export const PLAIN_WORDS = /** @type {const} */ ({
  anew: 'again',
  'for ever': 'indefinitely',
  'the begin': 'the start',
  'once more': 'again',
  'so many': 'that number of',
  'is told': 'receives, learns',
  'are told': 'receive, learn',
  'way out': 'remedy',
  mend: 'fix',
  mends: 'fixes',
  mended: 'fixed',
  judge: 'evaluate',
  judges: 'evaluates',
  judged: 'evaluated',
  whoever: 'the process, the caller',
  somebody: 'a person, another process',
  nobody: 'no process, no listener',
});

const WEAK = new RegExp(`^(${WEAK_STARTS.join('|')})(?![\\w'-])`, 'i');
const ALLOWED = new RegExp(`^(?:${ALLOWED_STARTS.map(escapeRegExp).join('|')})`, 'i');
const UNCLEAR = new RegExp(
  `(?<![\\w-])(${Object.keys(PLAIN_WORDS).join('|').replaceAll(' ', '\\s+')})(?![\\w-])`,
  'gi',
);

/** Functions of the test runner whose first argument is a name. */
const NAMING = /^(?:it|test|describe)(?:\.(?!each)\w+)*$/;
/** Replaces code: neither a weak start nor an unclear word. */
const CODE = '`';

/**
 * A piece of prose and its offset in the file. Sentences do not cross passages.
 * @typedef {{ text: string, start: number }} Passage
 * @typedef {{ start: number, finding: string }} Finding
 */

/** The findings in one file, in their order. @param {string} file @param {string} text */
export function checkLanguage(file, text) {
  const findings = file.endsWith('.md') ? checkProse(markdownPassages(text)) : checkSource(file, text);
  const lines = lineStarts(text);
  return findings
    .toSorted((a, b) => a.start - b.start)
    .map(({ start, finding }) => {
      const line = lines.findLastIndex((lineStart) => lineStart <= start);
      return `${file}:${line + 1}:${start - (lines[line] ?? 0) + 1}  ${finding}`;
    });
}

/** @param {string} file @param {string} text @returns {Finding[]} */
function checkSource(file, text) {
  const source = ts.createSourceFile(file, text, ts.ScriptTarget.Latest, true);
  const comments = commentsIn(source);
  const passages = comments.flatMap((comment) => commentPassages(text, comment));
  const prose = checkProse([...passages, ...testNames(source)]);
  const shown = file.startsWith('lib/')
    ? shownTexts(source).flatMap((passage) => [...unclearWords(passage)])
    : [];
  return [...prose, ...shown, ...longLines(text, comments)];
}

// Sentences and words

/** @param {readonly Passage[]} passages @returns {Finding[]} */
const checkProse = (passages) =>
  passages.flatMap((passage) => [...weakStarts(passage), ...unclearWords(passage)]);

/** @param {Passage} passage @returns {Iterable<Finding>} */
function* weakStarts({ text, start }) {
  for (const { 0: gap, index } of text.matchAll(/(?:^|[.!?][)"”*_\]]*\s+)[\s("“*_[]*/g)) {
    const sentence = text.slice(index + gap.length);
    const weak = WEAK.exec(sentence)?.[1];
    if (weak === undefined || ALLOWED.test(sentence)) continue;
    yield {
      start: start + index + gap.length,
      finding: `Begin the sentence with a noun or a verb, not with "${weak}".`,
    };
  }
}

/** @param {Passage} passage @returns {Iterable<Finding>} */
function* unclearWords({ text, start }) {
  for (const { 0: found, index } of text.matchAll(UNCLEAR)) {
    const word = /** @type {keyof typeof PLAIN_WORDS} */ (found.toLowerCase().replaceAll(/\s+/g, ' '));
    yield { start: start + index, finding: `Write "${PLAIN_WORDS[word]}" instead of "${word}".` };
  }
}

// Comments and test names

/**
 * Returns the comments of a source file; consecutive line comments count as one.
 * @param {ts.SourceFile} source @returns {ts.TextRange[]}
 */
function commentsIn(source) {
  const { text } = source;
  const found = /** @type {Map<number, ts.CommentRange>} */ (new Map());
  const nodes = [/** @type {ts.Node} */ (source)];
  for (const node of nodes) {
    for (const child of node.getChildren(source)) nodes.push(child); // grows during the loop
    if (node.kind < ts.SyntaxKind.FirstNode || node.kind === ts.SyntaxKind.EndOfFileToken)
      for (const range of [
        ...(ts.getLeadingCommentRanges(text, node.pos) ?? []),
        ...(ts.getTrailingCommentRanges(text, node.end) ?? []),
      ])
        found.set(range.pos, range);
  }
  const merged = /** @type {ts.CommentRange[]} */ ([]);
  for (const range of [...found.values()].toSorted((a, b) => a.pos - b.pos)) {
    const last = merged.at(-1);
    const isNext =
      last !== undefined &&
      isLine(last) &&
      isLine(range) &&
      /^\r?\n[ \t]*$/.test(text.slice(last.end, range.pos));
    if (isNext && standsAlone(text, last)) last.end = range.end;
    else merged.push({ ...range });
  }
  return merged;
}

/** @param {ts.CommentRange} range */
const isLine = ({ kind }) => kind === ts.SyntaxKind.SingleLineCommentTrivia;

/** Whether only white space precedes the comment on its line. @param {string} text @param {ts.TextRange} range */
const standsAlone = (text, { pos }) => /(?:^|\n)[ \t]*$/.test(text.slice(0, pos));

/** Directives of tools, which are not prose. */
const DIRECTIVE = /^\s*(?:@ts-|eslint|oxlint|prettier|#|v8 |istanbul|@vite|#region|#endregion)/;

/** The paragraphs, list items and tags of a comment. @param {string} text @param {ts.TextRange} comment @returns {Passage[]} */
function commentPassages(text, { pos, end }) {
  const inner = blank(text.slice(pos, end), /^[ \t]*(?:\/\/+|\/\*+|\*(?!\/))|\*+\/$/gm);
  if (DIRECTIVE.test(inner)) return [];
  const prose = blank(
    withoutCode(inner),
    /@(?:param|property|typedef|template)\s+(?:\{.*?\}\s+)?\S+|@\w+(?:\s+\{[^}]*\})?|^\s*(?:-|\d+\.)\s/gm,
  );
  const breaks = new Set(
    Array.from(inner.matchAll(/(?:^|\s)@\w+|\n\s*(?:-|\d+\.)\s/g), ({ index }) => index),
  );
  return split(prose, (index) => breaks.has(index) || /^\n\s*\n/.test(prose.slice(index, index + 200)), pos);
}

/** @param {ts.SourceFile} source @returns {Passage[]} */
function testNames(source) {
  return nodesOf(source)
    .filter(ts.isCallExpression)
    .filter((call) => NAMING.test(calleeOf(call, source)))
    .flatMap((call) => call.arguments.slice(0, 1).filter(ts.isStringLiteralLike))
    .map((name) => stringPassage(name, source));
}

/** The strings of a source file, and the texts between the holes of templates. @param {ts.SourceFile} source @returns {Passage[]} */
function shownTexts(source) {
  const isText = (/** @type {ts.Node} */ node) =>
    ts.isStringLiteralLike(node) || ts.isTemplateLiteralToken(node);
  return nodesOf(source)
    .filter(isText)
    .map((node) => stringPassage(node, source));
}

/** @param {ts.Node} node @param {ts.SourceFile} source @returns {Passage} */
function stringPassage(node, { text }) {
  const start = node.getStart() + 1; // after the quote
  return { text: withoutCode(text.slice(start, node.end - 1)), start };
}

/** @param {ts.SourceFile} source */
function nodesOf(source) {
  const nodes = [/** @type {ts.Node} */ (source)];
  for (const node of nodes) ts.forEachChild(node, (child) => void nodes.push(child)); // grows during the loop
  return nodes;
}

/** `it` of `it.each(rows)('name')`, too. @param {ts.CallExpression} call @param {ts.SourceFile} source */
function calleeOf({ expression }, source) {
  const callee = ts.isCallExpression(expression) ? expression.expression : expression;
  return callee.getText(source).replace(/\.each$/, '');
}

/** @param {string} text @param {readonly ts.TextRange[]} comments @returns {Finding[]} */
function longLines(text, comments) {
  return comments
    .filter((comment) => standsAlone(text, comment))
    .flatMap(({ pos, end }) => {
      const first = text.lastIndexOf('\n', pos) + 1;
      return lineStarts(text.slice(first, end)).flatMap((start) => {
        const [line = ''] = text.slice(first + start, end).split('\n');
        const finding = `The comment is ${line.length} columns wide: wrap it at ${MAX_COMMENT_COLUMN}.`;
        const isCode = /https?:\S+$|-ignore|-disable|@type|@param|@typedef/.test(line);
        return line.length > MAX_COMMENT_COLUMN && !isCode ? [{ start: first + start, finding }] : [];
      });
    });
}

// Markdown

/** The paragraphs, headings, list items and table cells of a document. @param {string} text @returns {Passage[]} */
function markdownPassages(text) {
  const prose = blank(
    withoutCode(blank(text, /^([ \t]*)(```+)[^]*?^\1\2[ \t]*$/gm)),
    /\]\([^)]*\)|<[^>]+>|^[ \t]*(?:#+|>|-|\*|\d+\.)[ \t]/gm,
  );
  const isBreak = (/** @type {number} */ index) =>
    prose[index] === '|' || (prose[index] === '\n' && /^\n\s*(?:\n|$)/.test(prose.slice(index, index + 200)));
  const starts = new Set(
    Array.from(text.matchAll(/\n[ \t]*(?:#+|>|-|\*|\d+\.|\|)[ \t]/g), ({ index }) => index),
  );
  const headings = new Set(
    Array.from(text.matchAll(/^#+ .*$/gm), ({ index, 0: { length } }) => index + length),
  );
  return split(prose, (index) => isBreak(index) || starts.has(index) || headings.has(index), 0);
}

// Text

/** The parts of a text between the characters for which `isBreak` holds. @param {string} text @param {(index: number) => boolean} isBreak @param {number} offset @returns {Passage[]} */
function split(text, isBreak, offset) {
  const ends = Array.from({ length: text.length }, (_, index) => index).filter(isBreak);
  return [...ends, text.length].map((end, index) => {
    const start = index === 0 ? 0 : (ends[index - 1] ?? 0) + 1;
    const passage = text.slice(start, end);
    const indent = passage.length - passage.trimStart().length;
    return { text: passage.trim(), start: offset + start + indent };
  });
}

/** Code between backquotes as one placeholder of the same length. @param {string} text */
const withoutCode = (text) =>
  text.replaceAll(/(`+)[^`]+?\1|\{@link [^}]*\}/g, (code) => CODE.repeat(code.length));

/** @param {string} text @param {RegExp} pattern */
const blank = (text, pattern) => text.replaceAll(pattern, (found) => found.replaceAll(/[^\n]/g, ' '));

/** @param {string} text */
function lineStarts(text) {
  return [0, ...Array.from(text.matchAll(/\n/g), ({ index }) => index + 1)];
}

/** @param {string} text */
function escapeRegExp(text) {
  return text.replaceAll(/[.*+?^${}()|[\]\\]/g, '\\$&');
}

/** Returns the files that are written by hand. @returns {string[]} */
function filesOfProject() {
  const files = execFileSync('git', ['ls-files', '-co', '--exclude-standard'], { encoding: 'utf8' }).split(
    '\n',
  );
  return files.filter((file) => /\.(?:[cm]?[jt]s|md)$/.test(file) && fs.existsSync(file));
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const files = process.argv.length > 2 ? process.argv.slice(2) : filesOfProject();
  const findings = files.flatMap((file) => checkLanguage(file, fs.readFileSync(file, 'utf8')));
  for (const finding of findings) console.log(finding);
  if (findings.length > 0) process.exitCode = 1;
}
