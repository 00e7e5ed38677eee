// @ts-check
import { existsSync, readFileSync, readdirSync } from 'node:fs';
import path from 'node:path';

export const ROOT = path.join(import.meta.dirname, '..');

/**
 * Where the documents stand in the site, in the order of its navigation. Of a folder all are taken, in the order of
 * their names.
 */
const SECTIONS = {
  Start: ['docs/index.md', 'README.md'],
  Guides: ['docs/stored-notifications.md', 'docs/table-changes.md', 'docs/guides/', 'docs/testing.md'],
  Reference: ['docs/guarantees.md', 'docs/options.md', 'docs/errors.md', 'docs/events.md', 'docs/cli.md'],
  Operations: ['docs/operations.md', 'docs/health.md', 'CHANGELOG.md'],
  Decisions: ['ARCHITECTURE.md', 'docs/decisions/'],
};

/**
 * A document of the repository: its file, the page it becomes (both with `.md`), and its first heading.
 * @typedef {{ file: string, page: string, title: string }} Document
 */

/** @type {readonly { title: string, documents: readonly Document[] }[]} */
export const sections = Object.entries(SECTIONS).map(([title, places]) => ({
  title,
  documents: places.flatMap(filesAt).map((file) => ({ file, page: pageOf(file), title: titleOf(file) })),
}));

export const documents = sections.flatMap((section) => section.documents);

assertComplete();

/** @param {string} place a file, which may be missing, or a folder */
function filesAt(place) {
  if (!existsSync(path.join(ROOT, place))) return [];
  return place.endsWith('/') ? markdownIn(place) : [place];
}

/** @param {string} folder */
function markdownIn(folder) {
  const names = readdirSync(path.join(ROOT, folder)).filter((name) => name.endsWith('.md'));
  return names.toSorted().map((name) => `${folder}${name}`);
}

/** The first page is docs/index.md, and the README where there is none. @param {string} file */
function pageOf(file) {
  if (file.startsWith('docs/')) return file.slice('docs/'.length);
  return file === 'README.md' && filesAt('docs/index.md').length === 0 ? 'index.md' : file.toLowerCase();
}

/** @param {string} file */
function titleOf(file) {
  const [, heading] = /^# (.*)$/m.exec(readFileSync(path.join(ROOT, file), 'utf8')) ?? [];
  if (heading === undefined)
    throw new Error(`expected ${file} to begin with a heading, got none. Add "# Title".`);
  return heading.replaceAll('`', '');
}

/** A document that nobody put into the navigation would be found by nobody. */
function assertComplete() {
  const placed = new Set(documents.map(({ file }) => file));
  const forgotten = markdownIn('docs/').filter((file) => !placed.has(file));
  if (forgotten.length > 0)
    throw new Error(
      `expected every document to stand in the navigation, got ${forgotten.join(', ')} outside of it. ` +
        'Add it to SECTIONS in website/navigation.js.',
    );
}
