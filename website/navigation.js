// @ts-check
/**
 * What stands where in the site. docs/index.md is its map, as it is that of the repository: the sections are its headings, and
 * what it links below them. Before that come the README, which is the first page, and the map itself.
 */
import { readFileSync, readdirSync } from 'node:fs';
import path from 'node:path';

export const ROOT = path.join(import.meta.dirname, '..');
const README = 'README.md';
export const MAP = 'docs/index.md';

/**
 * A document of the repository: its file, the page it becomes (both with `.md`), and its first heading.
 * @typedef {{ file: string, page: string, title: string }} Document
 */

/** @type {readonly { title: string, documents: readonly Document[] }[]} */
export const sections = read(MAP)
  .split(/^## /m)
  .slice(1)
  .map((section, index) => {
    const [title = ''] = section.split('\n');
    const files = [...(index === 0 ? [README, MAP] : []), ...linkedIn(section)];
    return { title, documents: files.map((file) => ({ file, page: pageOf(file), title: titleOf(file) })) };
  });

export const documents = sections.flatMap((section) => section.documents);

assertComplete();

/** @param {string} file */
function read(file) {
  return readFileSync(path.join(ROOT, file), 'utf8');
}

/** @param {string} section */
function linkedIn(section) {
  const targets = Array.from(section.matchAll(/\]\(([^)#:]+\.md)\)/g), ([, target = '']) => target);
  return targets.map((target) => path.posix.join(path.posix.dirname(MAP), target));
}

/** @param {string} file */
function pageOf(file) {
  if (file === README) return 'index.md';
  return file === MAP ? 'documentation.md' : file.replace(/^docs\//, '').toLowerCase();
}

/** @param {string} file */
function titleOf(file) {
  const [, heading] = /^# (.*)$/m.exec(read(file)) ?? [];
  if (heading === undefined)
    throw new Error(`expected ${file} to begin with a heading, got none. Add "# Title".`);
  return heading.replaceAll('`', '');
}

/** A document that the map leaves out would be found by nobody, and one that stands in it twice be built twice. */
function assertComplete() {
  const placed = documents.map(({ file }) => file);
  const names = readdirSync(path.join(ROOT, 'docs'), { recursive: true, encoding: 'utf8' });
  const all = names
    .filter((name) => name.endsWith('.md'))
    .map((name) => `docs/${name.replaceAll('\\', '/')}`);
  const misplaced = all.filter((file) => placed.filter((other) => other === file).length !== 1);
  if (misplaced.length > 0)
    throw new Error(
      `expected ${MAP} to link every document once below its headings, got ${misplaced.join(', ')} otherwise. ` +
        'Mend the map: the navigation of the site is made of it.',
    );
}
