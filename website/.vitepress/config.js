// @ts-check
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { slug } from 'github-slugger';
import { defineConfig } from 'vitepress';
import { ROOT, documents, sections } from '../navigation.js';
import { missing, showDocuments } from './documents.js';

const site = path.join(import.meta.dirname, '..');
const { name, description } = JSON.parse(readFileSync(path.join(ROOT, 'package.json'), 'utf8'));
/** The sidebar that typedoc-vitepress-theme generated. */
const api = JSON.parse(readFileSync(path.join(site, '.build/pages/api/typedoc-sidebar.json'), 'utf8'));

const titles = new Map(documents.map(({ page, title }) => [page, title]));

/** @param {string} page */
const linkTo = (page) => `/${page.replace(/(?<=^|\/)index\.md$/, '')}`;

/** @param {{ title: string, documents: readonly import('../navigation.js').Document[] }} section */
const itemsOf = ({ title, documents }) => [
  ...documents.map((document) => ({ text: document.title, link: linkTo(document.page) })),
  ...(title === 'Reference' ? [{ text: 'API', link: '/api/', collapsed: true, items: api }] : []),
];

/** The section of decisions is long and starts collapsed. @param {{ title: string }} section */
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
    anchor: { slugify: slug }, // the anchors of GitHub
    config: showDocuments,
  },
  transformPageData: ({ relativePath, title, frontmatter }) => ({
    title: titles.get(relativePath) ?? title,
    frontmatter: { ...frontmatter, ...(relativePath.startsWith('api/') && { pageClass: 'api' }) },
  }),
  buildEnd: () => {
    if (missing.size > 0) console.warn(`missing images: ${[...missing].join(', ')}`);
  },
  themeConfig: {
    search: { provider: 'local' },
    outline: [2, 3],
    nav: sections.map((section) => ({
      text: section.title,
      link: linkTo(section.documents[0]?.page ?? ''),
    })),
    sidebar: sections.map((section) => ({
      text: section.title,
      items: itemsOf(section),
      ...foldable(section),
    })),
  },
});
