// @ts-check
/**
 * The pages of the site and their order. docs/index.md is the map of the site as well as of the
 * repository: its headings are the sections, and the links below them the pages. The first section
 * begins with the README and the map. The home page belongs to no section.
 */
import { readFileSync, readdirSync } from 'node:fs';
import path from 'node:path';

export const ROOT = path.join(import.meta.dirname, '..');
const HOME = 'website/home.md';
const README = 'README.md';
export const MAP = 'docs/index.md';

/**
 * A document of the repository: its file, its page (both with `.md`), and its title in the sidebar.
 * @typedef {{ file: string, page: string, title: string }} Document
 */

/** @type {readonly { title: string, documents: readonly Document[] }[]} */
export const sections = read(MAP)
  .split(/^## /m)
  .slice(1)
  .map((section, index) => {
    const [title = ''] = section.split('\n');
    const files = [...(index === 0 ? [README, MAP] : []), ...linkedIn(section)];
    return { title, documents: files.map(documentOf) };
  });

export const documents = [documentOf(HOME), ...sections.flatMap((section) => section.documents)];

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

/** @param {string} file @returns {Document} */
function documentOf(file) {
  return { file, page: pageOf(file), title: file === README ? 'Overview' : titleOf(file) };
}

/** @param {string} file */
function pageOf(file) {
  if (file === HOME) return 'index.md';
  if (file === README) return 'overview.md';
  return file === MAP ? 'documentation.md' : file.replace(/^docs\//, '').toLowerCase();
}

/** @param {string} file */
function titleOf(file) {
  const [, heading] = /^# (.*)$/m.exec(read(file)) ?? [];
  if (heading === undefined) throw new Error(`${file} must begin with a heading. Add "# Title".`);
  return heading.replaceAll('`', '');
}

/** Throws unless the map links each document exactly once. */
function assertComplete() {
  const placed = documents.map(({ file }) => file);
  const names = readdirSync(path.join(ROOT, 'docs'), { recursive: true, encoding: 'utf8' });
  const all = names
    .filter((name) => name.endsWith('.md'))
    .map((name) => `docs/${name.replaceAll('\\', '/')}`);
  const misplaced = all.filter((file) => placed.filter((other) => other === file).length !== 1);
  if (misplaced.length > 0)
    throw new Error(
      `${MAP} must link every document exactly once below its headings. Not linked, or linked twice: ${misplaced.join(', ')}.`,
    );
}
