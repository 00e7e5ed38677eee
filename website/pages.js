// @ts-check
/**
 * Copies the documents of the repository and their pictures to .build/pages, each to the path of
 * its page. Links are rewritten later, by .vitepress/documents.js.
 */
import { cpSync, mkdirSync, rmSync, statSync } from 'node:fs';
import path from 'node:path';
import { ROOT, documents } from './navigation.js';

const DOCS = path.join(ROOT, 'docs');
const PAGES = path.join(import.meta.dirname, '.build', 'pages');

rmSync(PAGES, { recursive: true, force: true });
mkdirSync(PAGES, { recursive: true });
cpSync(DOCS, PAGES, {
  recursive: true,
  filter: (file) => statSync(file).isDirectory() || !file.endsWith('.md'),
});
for (const { file, page } of documents) cpSync(path.join(ROOT, file), path.join(PAGES, page));
