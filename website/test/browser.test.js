// @ts-check
/** Uses the site in a browser. Skipped where there is no Chromium; CHROMIUM_PATH can name one. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import path from 'node:path';
import { after, before, describe, it } from 'node:test';
import { chromium } from 'playwright-core'; // from the parent folder
import { serve } from 'vitepress';
import { documents, sections } from '../navigation.js';

const WEBsite = path.join(import.meta.dirname, '..');
const USUAL = ['/usr/bin/chromium', '/usr/bin/chromium-browser', '/usr/bin/google-chrome'];
const executablePath = [process.env['CHROMIUM_PATH'], ...USUAL].find((file) => file && existsSync(file));
const skip = executablePath === undefined && 'no Chromium found; set CHROMIUM_PATH to its path';

describe('a browser', { skip }, () => {
  /** @type {Awaited<ReturnType<typeof serve>>} */
  let server;
  /** @type {import('playwright-core').Browser} */
  let browser;
  /** @type {import('playwright-core').Page} */
  let page;
  let site = '';
  /** @type {string[]} */
  const requests = [];

  before(async () => {
    server = await serve({ root: WEBsite, port: 0 });
    if (!server.server.listening) await once(server.server, 'listening');
    const { port } = /** @type {import('node:net').AddressInfo} */ (server.server.address());
    site = `http://localhost:${port}`;
    browser = await chromium.launch({ executablePath, args: ['--no-sandbox'] });
    page = await browser.newPage();
    page.on('request', (request) => requests.push(request.url()));
  });

  after(async () => {
    await browser?.close();
    server?.server.close();
  });

  it('shows pages of every section without a request to another host', async () => {
    const shown = sections.flatMap(({ documents }) => documents.slice(0, 2));
    for (const { page: name, title } of shown) {
      await page.goto(`${site}/${name.replace(/\.md$/, '.html')}`);
      assert.equal(await page.title(), `${title} | nestjs-pgpubsub`);
    }
    assert(requests.length > shown.length);
    const foreign = requests.filter((url) => !url.startsWith(`${site}/`) && !url.startsWith('data:'));
    assert.deepEqual(foreign, []);
  });

  it('shows 80 columns of code without scrolling', async () => {
    await page.setViewportSize({ width: 1280, height: 800 });
    const scrolling = [];
    for (const { page: name } of documents) {
      await page.goto(`${site}/${name.replace(/\.md$/, '.html')}`);
      scrolling.push(...(await page.evaluate(findOverflow)).map((found) => `${name}: ${found}`));
    }
    assert.deepEqual(scrolling, []);
  });

  it('fits every page into the window of a phone', async () => {
    await page.setViewportSize({ width: 390, height: 800 });
    for (const { page: name } of documents) {
      await page.goto(`${site}/${name.replace(/\.md$/, '.html')}`);
      assert(await page.evaluate('document.documentElement.scrollWidth <= innerWidth'), name);
    }
    await page.setViewportSize({ width: 1280, height: 800 });
  });

  it('finds an option in the search', async () => {
    await page.goto(site);
    await page.getByRole('button', { name: 'Search' }).click();
    await page.getByRole('searchbox').fill('shutdownTimeoutMs');
    await page.locator('.VPLocalSearchBox .result', { hasText: 'forRoot' }).first().click();
    await page.waitForURL(/options\.html#pgpubsubmoduleforroot/);
  });

  it('is dark when the browser prefers dark colors', async () => {
    const background = async (/** @type {'dark' | 'light'} */ colorScheme) => {
      await page.emulateMedia({ colorScheme });
      await page.reload();
      return page.evaluate(() => getComputedStyle(document.body).backgroundColor);
    };
    assert.notEqual(await background('dark'), await background('light'));
  });
});

/**
 * Returns the blocks of code that scroll although their lines have at most 80 columns, and the page
 * itself if it scrolls.
 */
function findOverflow() {
  const isWide = (/** @type {Element} */ { scrollWidth, clientWidth }) => scrollWidth > clientWidth;
  const blocks = Array.from(document.querySelectorAll('pre')).filter(isWide);
  const found = blocks.map(({ innerText }) => innerText).filter((text) => !/.{81}/.test(text));
  return isWide(document.documentElement) ? [...found, 'the page'] : found;
}
