// @ts-check
import { existsSync } from 'node:fs';
import path from 'node:path';
import { MAP, ROOT, documents } from '../navigation.js';

const fileOf = new Map(documents.map(({ file, page }) => [page, file]));
const pageOf = new Map(documents.map(({ file, page }) => [file, page]));
/** Folders of documents; links to them lead to the map. */
const folders = new Set(
  documents.map(({ file }) => path.posix.dirname(file)).filter((folder) => folder.startsWith('docs')),
);

/** Images that documents show and that do not exist. */
export const missing = new Set();

/**
 * Adapts documents, which are written for the repository, to the site. Links lead to the page of
 * their document; links to files without a page become text. The comment above a block of code
 * becomes a visible line with the path of its file.
 * @param {import('vitepress').MarkdownRenderer} md
 */
export function showDocuments(md) {
  md.core.ruler.push('documents', ({ tokens, env }) => {
    const file = fileOf.get(env.relativePath);
    if (file === undefined) return; // API pages already link to pages
    for (const [index, token] of tokens.entries()) {
      if (token.type === 'html_block' && tokens[index + 1]?.type === 'fence') showSource(token);
      if (token.type === 'fence') token.content = dedent(token.content);
      if (token.children) token.children = rewriteLinks(token.children, file, env.relativePath);
    }
  });
}

/** @param {import('markdown-it/index.js').Token} token */
function showSource(token) {
  const [, source] = /^<!-- (\S+) -->\s*$/.exec(token.content) ?? [];
  if (source !== undefined) token.content = `<p class="source">${source}</p>\n`;
}

/** Removes the indentation that a region has in its file. @param {string} code */
function dedent(code) {
  const indents = Array.from(code.matchAll(/^ *(?=\S)/gm), ([indent]) => indent.length);
  return code.replaceAll(new RegExp(`^ {${Math.min(...indents)}}`, 'gm'), '');
}

/** @param {import('markdown-it/index.js').Token[]} tokens @param {string} file @param {string} page */
function rewriteLinks(tokens, file, page) {
  let isPlain = false;
  return tokens.filter((token) => {
    if (token.type === 'image') return rewriteImage(token, file, page);
    if (token.type === 'link_close' && isPlain) return (isPlain = false);
    if (token.type !== 'link_open') return true;
    const target = rewrite(token.attrGet('href') ?? '', file, page);
    if (target !== undefined) token.attrSet('href', target);
    isPlain = target === undefined;
    return !isPlain;
  });
}

/**
 * Returns false for an image that does not exist: the benchmark generates the plots.
 * @param {import('markdown-it/index.js').Token} token @param {string} file @param {string} page
 */
function rewriteImage(token, file, page) {
  const image = path.posix.join(path.posix.dirname(file), token.attrGet('src') ?? '');
  if (!existsSync(path.join(ROOT, image))) {
    missing.add(image);
    return false;
  }
  token.attrSet('src', relativeLink(image.replace(/^docs\//, ''), page));
  return true;
}

/**
 * Returns the target of a link on the site, or `undefined` for a file without a page.
 * @param {string} link @param {string} file @param {string} page
 */
function rewrite(link, file, page) {
  if (/^(?:[a-z]+:|#)/i.test(link)) return link;
  const [target = '', anchor] = link.split('#');
  const named = path.posix.join(path.posix.dirname(file), target).replace(/\/$/, '');
  const found = pageOf.get(named) ?? (folders.has(named) ? pageOf.get(MAP) : undefined);
  if (found === undefined) return existsSync(path.join(ROOT, named)) ? undefined : link; // VitePress reports dead links
  return anchor === undefined ? relativeLink(found, page) : `${relativeLink(found, page)}#${anchor}`;
}

/** @param {string} target @param {string} page */
const relativeLink = (target, page) => `./${path.posix.relative(path.posix.dirname(page), target)}`;
