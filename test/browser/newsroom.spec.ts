import { fileURLToPath } from 'node:url';
import type { Browser } from 'playwright-core';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { Visitor, findBrowser, launchBrowser } from '../support/browser.js';
import { TestDatabase } from '../support/database.js';
import { eventually } from '../support/mailbox.js';
import { SampleApp } from '../support/sample-app.js';

/** Keeps the picture for the documentation when the environment variable is set. */
const KEPT = process.env['NEWSROOM_PICTURE'] && {
  path: fileURLToPath(new URL('../../docs/images/newsroom.png', import.meta.url)),
};

const PICTURED = ['Dorothy Thompson', 'Nora Boustany', 'Gloria Emerson', 'Frances FitzGerald', 'Ethel Payne', 'Marguerite Higgins', 'Anna Politkovskaya', 'Ida B. Wells', 'Clare Hollingworth', 'Martha Gellhorn', 'Nellie Bly']; // prettier-ignore

// the processes of `npm start`: one web process and two listeners
describe.skipIf(findBrowser() === undefined)('the page of the newsroom in two browsers', () => {
  let browser: Browser;
  let database: TestDatabase;
  let app: SampleApp;
  let ada: Visitor;
  let grace: Visitor;

  beforeAll(async () => {
    [browser, database] = await Promise.all([launchBrowser(), TestDatabase.create()]);
    app = await SampleApp.startAll(database.url);
    await eventually(async () => (await database.listenSessions()) === 3, 'all three processes listen');
  });
  beforeEach(async () => {
    [ada, grace] = await Promise.all([Visitor.open(browser, app.origin), Visitor.open(browser, app.origin)]);
  });
  afterEach(async () => {
    await Promise.all([ada[Symbol.asyncDispose](), grace[Symbol.asyncDispose]()]);
    expect([...ada.complaints, ...grace.complaints]).toEqual([]);
  });
  afterAll(async () => {
    await browser.close();
    await app[Symbol.asyncDispose]();
    await database[Symbol.asyncDispose]();
  });

  it('shows an author and the first post, no matter which browser created the author', async () => {
    await ada.createAuthor('Ada Lovelace');

    for (const visitor of [ada, grace]) {
      await visitor.sees('#author-list li', 'Ada Lovelace');
      await visitor.sees('#post-list li', 'This is the first post of Ada Lovelace.');
    }
    await ada.sees('#outcome', 'Ada Lovelace is author');
  });

  it('shows an author that another program inserts', async () => {
    await database.query(`insert into author (name) values ('Grace Hopper')`);

    for (const visitor of [ada, grace]) {
      await visitor.sees('#author-list li', 'Grace Hopper');
      await visitor.sees('#post-list li', 'This is the first post of Grace Hopper.');
      await visitor.sees('.log li', 'insert author {"id"');
    }
  });

  it('copies the psql command to the clipboard', async () => {
    await ada.page.context().grantPermissions(['clipboard-read', 'clipboard-write']);

    await ada.click('Copy the psql command');

    await ada.sees('#outcome', 'is copied');
    const copied = await ada.page.evaluate('navigator.clipboard.readText()');
    expect(copied).toBe(`psql '${database.url}' -c "insert into author (name) values ('Grace')"`);
  });

  it('counts each read once in both browsers', async () => {
    await createAuthor('A reader');
    const before = await ada.figure('reads-count');

    for (const visitor of [ada, grace, ada, grace]) {
      await visitor.click('Read post');
      await visitor.sees('#outcome', /was read from the (cache|database)/);
    }

    await agree('reads-count', before + 4);
    await expect(database.query('select sum(reads)::int as reads from reads_per_day')).resolves.toEqual([
      { reads: before + 4 },
    ]);
  });

  it('reads a rewritten post from the database instead of the cache', async () => {
    await createAuthor('A writer');
    await ada.click('Read post');
    await ada.sees('#outcome', 'from the database');
    await ada.click('Read post');
    await ada.sees('#outcome', 'from the cache');

    await grace.click('Rewrite post');

    await ada.sees('#post-list li', /A writer.*Rewritten at/);
    await ada.sees('.log li', 'post_changed');
    await ada.click('Read post');
    await ada.sees('#outcome', 'from the database');
  });

  it('shows how the listening processes share 1,000 authors, each handled once', async () => {
    const [authors, posts] = [await ada.figure('authors-count'), await ada.figure('posts-count')];

    await ada.click('Insert 1,000 authors');

    await agree('authors-count', authors + 1_000);
    await agree('posts-count', posts + 1_000);
    await agree('pending-count', 0);
    const shares = await ada.page.locator('#process-list progress').evaluateAll((bars) => bars.map((bar) => Number(bar.getAttribute('value')))); // prettier-ignore
    expect(shares).toHaveLength(3);
    // without the web process
    expect(shares.filter((share) => share > 0)).toHaveLength(2);
    const counts = `select count(*)::int as posts, count(distinct author_id)::int as authors from post`;
    await expect(database.query(counts)).resolves.toEqual([{ posts: posts + 1_000, authors: posts + 1_000 }]);
    const handled = `select count(*)::int as n, count(distinct notification_id)::int as ids from handling where channel = 'author'`;
    await expect(database.query(handled)).resolves.toEqual([{ n: posts + 1_000, ids: posts + 1_000 }]);
  });

  it('shows a failing listener, its dead letter and the retry', async () => {
    await ada.click('Print on a jammed press');

    await grace.sees('.log li', /failed on printing at attempt 1: retry in \d+ ms/);
    await grace.sees('#edition-list li', 'dead letter after 3 attempts: the press is jammed');
    await grace.sees('.log li', 'attempt 3: moved to the dead letters');

    await grace.click('Clear the jam and retry');

    for (const visitor of [ada, grace]) await visitor.sees('#edition-list li', 'printed at');
    await ada.sees('#process-list li', '1 edition');
    await expect(database.query('select from pgpubsub_dead_letter')).resolves.toEqual([]);
  });

  it('shows a gap after the LISTEN connections were cut, with a cleared cache and no stored notification lost', async () => {
    await createAuthor('Somebody');
    await ada.click('Read post');
    await ada.sees('#outcome', 'was read');
    await ada.sees('#cached', /[1-9]\d* posts?/);
    const posts = await ada.figure('posts-count');

    await ada.click('Close the LISTEN connections');

    await ada.sees('#outcome', '3 LISTEN connections were closed and 10 authors');
    for (const visitor of [ada, grace]) {
      await visitor.sees('#gap', 'may have been missed for up to');
      await visitor.sees('.log li', 'The cache was cleared');
      await visitor.sees('#cached', '0 posts');
    }
    await agree('posts-count', posts + 10);
    await ada.sees('#connection', 'Listening');
    await createAuthor('Heard again');
  });

  it('shows everything that happened meanwhile after a reload', async () => {
    await createAuthor('Before the reload');
    await grace[Symbol.asyncDispose](); // only one page observes the process
    // at this time the old page is gone and the new one does not listen yet
    await ada.page.route('**/page/page.js', async (route) => {
      await database.query(`insert into author (name) values ('While it was away')`);
      await eventually(() => hasPostOf('While it was away'), 'the first post is written');
      await route.continue();
    });

    await ada.page.reload();

    await ada.seeLive();
    await ada.sees('#author-list li', 'While it was away');
    await ada.sees('#post-list li', 'first post of While it was away');
    for (const when of ['Before the reload', 'While it was away'])
      await ada.sees('.log li', `This is the first post of ${when}.`);
    await ada.createAuthor('After the reload');
    await ada.sees('#post-list li', 'first post of After the reload');
  });

  it('renders the picture for the documentation', async () => {
    await ada.page.setViewportSize({ width: 1280, height: 1090 });
    for (const name of PICTURED) await createAuthor(name);
    await ada.click('Read post');
    await ada.click('Print on a jammed press');
    await ada.sees('#edition-list li', 'dead letter');
    await ada.page.mouse.move(0, 0);
    const picture = await ada.page.screenshot({ animations: 'disabled', ...KEPT });

    expect(picture.toString('latin1', 1, 4)).toBe('PNG');
    expect([picture.readUInt32BE(16), picture.readUInt32BE(20)]).toEqual([1280, 1090]);
  });

  /** Resolves when both pages show the first post. */
  async function createAuthor(name: string): Promise<void> {
    await grace.createAuthor(name);
    for (const visitor of [ada, grace]) await visitor.sees('#post-list li', `first post of ${name}.`);
  }

  async function hasPostOf(name: string): Promise<boolean> {
    const sql = 'select from post join author on author.id = post.author_id where author.name = $1';
    return (await database.query(sql, [name])).length > 0;
  }

  async function agree(figure: string, expected: number): Promise<void> {
    for (const visitor of [ada, grace])
      await eventually(async () => (await visitor.figure(figure)) === expected, `${figure} is ${expected}`);
  }
});
