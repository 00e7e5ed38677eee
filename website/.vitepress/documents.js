// @ts-check
import { existsSync } from 'node:fs';
import path from 'node:path';
import { MAP, ROOT, documents } from '../navigation.js';

const fileOf = new Map(documents.map(({ file, page }) => [page, file]));
const pageOf = new Map(documents.map(({ file, page }) => [file, page]));
/** Folders have no page of their own: the map says what is in them. */
const folders = new Set(documents.map(({ file }) => path.posix.dirname(file)));

/** Images that documents show, and that are not there. */
export const missing = new Set();

/**
 * Documents are written for the repository, where they are read as they are. On a page, links lead to the page of the
 * document they name; those to files that have no page are shown as text; and the comment above a block of code,
 * which says what file it is from, can be seen.
 * @param {import('vitepress').MarkdownRenderer} md
 */
export function showDocuments(md) {
  md.core.ruler.push('documents', ({ tokens, env }) => {
    const file = fileOf.get(env.relativePath);
    if (file === undefined) return; // the API: its links lead to pages already
    for (const [index, token] of tokens.entries()) {
      if (token.type === 'html_block' && tokens[index + 1]?.type === 'fence') showSource(token);
      if (token.type === 'fence') token.content = dedent(token.content);
      if (token.children) token.children = turnLinks(token.children, file, env.relativePath);
    }
  });
}

/** @param {import('markdown-it/index.js').Token} token */
function showSource(token) {
  const [, source] = /^<!-- (\S+) -->\s*$/.exec(token.content) ?? [];
  if (source !== undefined) token.content = `<p class="source">${source}</p>\n`;
}

/** A region stands in its document as it does in its file. @param {string} code */
function dedent(code) {
  const indents = Array.from(code.matchAll(/^ *(?=\S)/gm), ([indent]) => indent.length);
  return code.replaceAll(new RegExp(`^ {${Math.min(...indents)}}`, 'gm'), '');
}

/** @param {import('markdown-it/index.js').Token[]} tokens @param {string} file @param {string} page */
function turnLinks(tokens, file, page) {
  let isPlain = false;
  return tokens.filter((token) => {
    if (token.type === 'image') return turnImage(token, file, page);
    if (token.type === 'link_close' && isPlain) return (isPlain = false);
    if (token.type !== 'link_open') return true;
    const target = turn(token.attrGet('href') ?? '', file, page);
    if (target !== undefined) token.attrSet('href', target);
    isPlain = target === undefined;
    return !isPlain;
  });
}

/**
 * False for an image that is not there: the benchmark makes those of its tables.
 * @param {import('markdown-it/index.js').Token} token @param {string} file @param {string} page
 */
function turnImage(token, file, page) {
  const image = path.posix.join(path.posix.dirname(file), token.attrGet('src') ?? '');
  if (!existsSync(path.join(ROOT, image))) {
    missing.add(image);
    return false;
  }
  token.attrSet('src', wayTo(image.replace(/^docs\//, ''), page));
  return true;
}

/**
 * Where a link leads on the page, or `undefined` when it leads to a file of the repository without a page.
 * @param {string} link @param {string} file @param {string} page
 */
function turn(link, file, page) {
  if (/^(?:[a-z]+:|#)/i.test(link)) return link;
  const [target = '', anchor] = link.split('#');
  const named = path.posix.join(path.posix.dirname(file), target).replace(/\/$/, '');
  const found = pageOf.get(named) ?? (folders.has(named) ? pageOf.get(MAP) : undefined);
  if (found === undefined) return named.endsWith('.md') ? link : undefined; // VitePress refuses a page that is not there
  return anchor === undefined ? wayTo(found, page) : `${wayTo(found, page)}#${anchor}`;
}

/** @param {string} target @param {string} page */
const wayTo = (target, page) => `./${path.posix.relative(path.posix.dirname(page), target)}`;
