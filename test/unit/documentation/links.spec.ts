import { existsSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { DOCUMENTS, locate, readText } from '../../support/documents.js';

const proseOf = (document: string): string =>
  readText(document)
    .replaceAll(/^```[\s\S]*?^```/gm, '')
    .replaceAll(/`[^`\n]*`/g, 'code');

/** Returns the targets of links within this repository: a path, an anchor, or both. */
const linksOf = (document: string): string[] =>
  Array.from(proseOf(document).matchAll(/\]\(([^)\s]+)\)/g), ([, target = '']) => target).filter(
    (target) => !/^(?:https?|mailto):/.test(target),
  );

/** Returns the anchors of the headings of a page, as GitHub creates them. */
function anchorsOf(document: string): string[] {
  const text = readText(document).replaceAll(/^```[\s\S]*?^```/gm, '');
  const seen = new Map<string, number>();
  return Array.from(text.matchAll(/^#{1,6} (.+)$/gm), ([, heading = '']) => {
    const slug = heading
      .toLowerCase()
      .replaceAll(/[^\p{L}\p{N}\s_-]/gu, '')
      .replaceAll(' ', '-');
    const count = seen.get(slug) ?? 0;
    seen.set(slug, count + 1);
    return count === 0 ? slug : `${slug}-${count}`;
  });
}

/** `docs/guides/a.md` and `../b.md#c` → `docs/b.md` and `c`. */
function resolve(document: string, target: string): { path: string; anchor: string } {
  const url = new URL(target, new URL(document, 'file:///'));
  return { path: url.pathname.slice(1) || document, anchor: decodeURIComponent(url.hash.slice(1)) };
}

describe.each(DOCUMENTS)('the links of %s', (document) => {
  const links = linksOf(document).map((target) => ({ target, ...resolve(document, target) }));

  it('lead to existing files', () => {
    const broken = links.filter(({ path }) => !existsSync(locate(path)));
    expect(broken.map(({ target }) => target)).toEqual([]);
  });

  it('lead to existing headings', () => {
    const anchored = links.filter(({ path, anchor }) => anchor !== '' && path.endsWith('.md'));
    const broken = anchored.filter(({ path, anchor }) => !anchorsOf(path).includes(anchor));
    expect(broken.map(({ target }) => target)).toEqual([]);
  });
});

it('every page of docs/ can be reached from docs/index.md', () => {
  const reached = new Set(['docs/index.md']);
  for (const document of reached)
    for (const target of linksOf(document)) {
      const { path } = resolve(document, target);
      if (path.endsWith('.md') && existsSync(locate(path))) reached.add(path);
    }
  expect(DOCUMENTS.filter((document) => document.startsWith('docs/') && !reached.has(document))).toEqual([]);
});
