// @ts-check
/**
 * Lays out, in .build/pages, what the site is built from: the documents of the repository where their pages are to be,
 * and what they show beside them. Links are turned around later, by .vitepress/documents.js.
 */
import { cpSync, mkdirSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { ROOT, documents } from './navigation.js';

const PAGES = path.join(import.meta.dirname, '.build', 'pages');

rmSync(PAGES, { recursive: true, force: true });
cpSync(path.join(ROOT, 'docs'), PAGES, { recursive: true });
for (const { file, page } of documents) cpSync(path.join(ROOT, file), path.join(PAGES, page));
writeIndex('decisions');

/** What a link to a folder leads to. @param {string} folder */
function writeIndex(folder) {
  const all = documents.filter(({ page }) => page.startsWith(`${folder}/`));
  const lines = all.map(({ title, page }) => `- [${title}](${path.basename(page)})`);
  mkdirSync(path.join(PAGES, folder), { recursive: true });
  writeFileSync(path.join(PAGES, folder, 'index.md'), `# Decisions\n\n${lines.join('\n')}\n`);
}
