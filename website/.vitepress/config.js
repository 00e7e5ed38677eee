// @ts-check
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { slug } from 'github-slugger';
import { defineConfig } from 'vitepress';
import { ROOT, sections } from '../navigation.js';
import { missing, showDocuments } from './documents.js';

const site = path.join(import.meta.dirname, '..');
const { name, description } = JSON.parse(readFileSync(path.join(ROOT, 'package.json'), 'utf8'));
/** As typedoc-vitepress-theme has written it. */
const api = JSON.parse(readFileSync(path.join(site, '.build/pages/api/typedoc-sidebar.json'), 'utf8'));

/** @param {string} page */
const linkTo = (page) => `/${page.replace(/(?<=^|\/)index\.md$/, '')}`;

/** @param {{ title: string, documents: readonly import('../navigation.js').Document[] }} section */
const itemsOf = ({ title, documents }) => [
  ...documents.map((document) => ({ text: document.title, link: linkTo(document.page) })),
  ...(title === 'Reference' ? [{ text: 'API', link: '/api/', collapsed: true, items: api }] : []),
];

/** Decisions are many. @param {{ title: string }} section */
const foldable = ({ title }) => (title === 'Decisions' ? { collapsed: true } : {});

export default defineConfig({
  srcDir: '.build/pages',
  outDir: 'dist',
  cacheDir: '.build/cache',
  lang: 'en',
  title: name,
  description,
  cleanUrls: false,
  markdown: {
    anchor: { slugify: slug }, // links to headings are written for the repository's host as well
    config: showDocuments,
  },
  buildEnd: () => {
    if (missing.size > 0) console.warn(`without images that are not there: ${[...missing].join(', ')}`);
  },
  themeConfig: {
    search: { provider: 'local' },
    outline: [2, 3],
    nav: sections.map((section) => ({
      text: section.title,
      link: linkTo(section.documents[0]?.page ?? 'index.md'),
    })),
    sidebar: sections.map((section) => ({
      text: section.title,
      items: itemsOf(section),
      ...foldable(section),
    })),
  },
});
