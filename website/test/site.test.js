// @ts-check
/** Checks the pages that were built. */
import assert from 'node:assert/strict';
import { existsSync, readFileSync, readdirSync } from 'node:fs';
import path from 'node:path';
import { describe, it } from 'node:test';
import { parse } from 'node-html-parser';
import { documents } from '../navigation.js';

const DIST = path.join(import.meta.dirname, '..', 'dist');
const files = readdirSync(DIST, { recursive: true, encoding: 'utf8' });
const pages = new Map(
  files
    .filter((file) => file.endsWith('.html'))
    .map((file) => [file, parse(readFileSync(path.join(DIST, file), 'utf8'))]),
);
const linkTo = (/** @type {{ page: string }} */ { page }) =>
  `/${page.replace(/\.md$/, '.html').replace(/(?<=^|\/)index\.html$/, '')}`;

/** Elements that load something with the page. */
const LOADING = 'link[href], [src], [srcset], [poster], object[data], form[action]';

describe('the site', () => {
  it('has a page for every document, with links to all others', () => {
    assert(documents.length > 20);
    for (const [name, page] of pages) {
      if (name === '404.html' || name === 'index.html') continue;
      const links = new Set(page.querySelectorAll('.VPSidebar a').map((link) => link.getAttribute('href')));
      const missing = documents.map(linkTo).filter((link) => link !== '/' && !links.has(link));
      assert.deepEqual(missing, [], name);
    }
  });

  it('has a home page with an example, a picture and four cards', () => {
    const home = pages.get('index.html');
    const cards = home?.querySelectorAll('.home-cards a') ?? [];
    assert.equal(cards.length, 4);
    for (const card of cards) assert(!isBroken(card.getAttribute('href') ?? '', 'index.html'), card.text);
    assert.equal(home?.querySelectorAll('.home-example pre').length, 2);
    assert.equal(home?.querySelectorAll('img').length, 1);
  });

  it('has no link to a heading that does not exist', () => {
    const broken = [...pages].flatMap(([name, page]) =>
      page.querySelectorAll('a[href*="#"]').flatMap((link) => {
        const href = link.getAttribute('href') ?? '';
        return isBroken(href, name) ? [`${name}: ${href}`] : [];
      }),
    );
    assert.deepEqual(broken, []);
  });

  it('loads nothing from another host', () => {
    const loaded = [...pages].flatMap(([name, page]) =>
      page
        .querySelectorAll(LOADING)
        .flatMap(({ attributes }) => [
          attributes['href'],
          attributes['src'],
          attributes['srcset'],
          attributes['poster'],
          attributes['data'],
          attributes['action'],
        ])
        .filter((target) => target !== undefined && /^(?:[a-z]+:)?\/\//i.test(target))
        .map((target) => `${name}: ${target}`),
    );
    assert.deepEqual(loaded, []);
  });

  it('has style sheets that load nothing from another host', () => {
    const sheets = files.filter((file) => file.endsWith('.css'));
    assert(sheets.length > 0);
    for (const sheet of sheets)
      assert.doesNotMatch(
        readFileSync(path.join(DIST, sheet), 'utf8'),
        /(?:url\(|@import)\s*["']?(?:[a-z]+:)?\/\//i,
      );
  });

  it('shows the path of its file above a block of code', () => {
    const sources = pages.get('stored-notifications.html')?.querySelectorAll('p.source') ?? [];
    assert(sources.length > 5);
    for (const { text } of sources) assert(existsSync(path.join(DIST, '..', '..', text)), text);
  });
});

/** @param {string} href @param {string} from */
function isBroken(href, from) {
  if (/^[a-z]+:/i.test(href)) return false;
  const { pathname, hash } = new URL(href, `http://site/${from}`);
  const file = decodeURI(pathname)
    .slice(1)
    .replace(/(^|\/)$/, '$1index.html');
  if (hash === '' || hash === '#') return !pages.has(file);
  return !pages.get(file)?.getElementById(decodeURIComponent(hash.slice(1)));
}
