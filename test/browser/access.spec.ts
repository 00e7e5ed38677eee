import type { Browser } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Visitor, findBrowser, launchBrowser } from '../support/browser.js';
import { contrastsOf } from '../support/contrast.js';
import { TestDatabase } from '../support/database.js';
import { SampleApp } from '../support/sample-app.js';
import { freePort } from '../../tools/embedded-postgres.js';

describe.skipIf(findBrowser() === undefined)('the page of the newsroom', () => {
  let browser: Browser;
  let database: TestDatabase;
  let app: SampleApp;

  // one process with all roles, as "node sample-app/dist/main.js" starts it, and data of each kind
  beforeAll(async () => {
    [browser, database] = await Promise.all([launchBrowser(), TestDatabase.create()]);
    app = await SampleApp.start(database.url);
    await app.request('POST', '/authors/crowds', { count: 20 });
    await app.request('POST', '/editions', { isJammed: true });
    await database.query(
      `insert into handling (process, channel, notification_id, attempt) values ('Atlantis-1', 'author', 1, 1)`,
    );
    await using visitor = await Visitor.open(browser, app.origin);
    await visitor.sees('#post-list li', 'first post');
    await visitor.click('Read post');
    await visitor.sees('.days', '1');
    await visitor.click('Close the LISTEN connections');
    await visitor.sees('#gap', 'may have been missed');
    await visitor.sees('#edition-list li', 'dead letter');
  });
  afterAll(async () => {
    await browser.close();
    await app[Symbol.asyncDispose]();
    await database[Symbol.asyncDispose]();
  });

  it('can be used with the keyboard alone', async () => {
    await using visitor = await Visitor.open(browser, app.origin);
    const { keyboard } = visitor.page;

    await keyboard.press('Tab');
    await keyboard.type('Keyboard');
    await keyboard.press('Enter');
    await visitor.sees('#post-list li', 'first post of Keyboard.');

    const reached = await tabStops(visitor, 40);
    expect(reached).toEqual(
      expect.arrayContaining(['Create author', 'Insert 1,000 authors', 'Print on a jammed press']),
    );
    expect(reached).toEqual(
      expect.arrayContaining(['Close the LISTEN connections', 'Copy the psql command']),
    );
    const posts = reached.filter((name) => /^(Read|Rewrite) post \d+$/.test(name));
    expect(new Set(posts).size).toBe(12);
    expect(reached).toContainEqual(expect.stringMatching(/^Clear the jam and retry edition \d+$/));
  });

  it('moves the focus to the entry when its button disappears after use', async () => {
    await using visitor = await Visitor.open(browser, app.origin);
    const { body } = await app.request('POST', '/editions', { isJammed: true });
    const { id } = body as { id: number };
    await visitor.sees('#edition-list li', `Edition ${id} dead letter`);

    await visitor.page.getByLabel(`Clear the jam and retry edition ${id}`).press('Enter');

    await visitor.sees('#edition-list li', `Edition ${id} printed at`);
    const focused = await visitor.page.evaluate('document.activeElement.innerText');
    expect(focused).toMatch(new RegExp(`^Edition ${id} printed at`));
  });

  it('outlines the focused element', async () => {
    await using visitor = await Visitor.open(browser, app.origin);

    await visitor.page.keyboard.press('Tab');
    await visitor.page.keyboard.press('Tab');

    const outline = await visitor.page.evaluate('getComputedStyle(document.activeElement).outline');
    expect(outline).toMatch(/3px/);
    expect(outline).toContain('solid');
  });

  it('has a name for each control and one first-level heading', async () => {
    await using visitor = await Visitor.open(browser, app.origin);
    await visitor.sees('#post-list li', 'first post');

    const snapshot = await visitor.page.locator('body').ariaSnapshot();

    expect(snapshot).toContain('textbox "Name of a new author"');
    expect(snapshot.match(/heading ".*" \[level=1\]/g)).toEqual(['heading "The Newsroom" [level=1]']);
    expect(snapshot).not.toMatch(/- (button|textbox|progressbar|link)(:|$)/m);
    expect(snapshot).toMatch(/progressbar "Handled by \w+"/);
  });

  it('announces the result of an action to screen readers, but not every change', async () => {
    await using visitor = await Visitor.open(browser, app.origin);

    const live = visitor.page.locator('[aria-live], [role=status], [role=log], [role=alert]');

    await expect(
      live.evaluateAll((regions) => regions.map(({ textContent }) => textContent)),
    ).resolves.toEqual(['Live', '']);
    await visitor.createAuthor('Quiet');
    await visitor.sees('[role=status]', 'Quiet is author');
  });

  it.each(['light', 'dark'] as const)(
    'meets the contrast of WCAG AA in the %s color scheme',
    async (colorScheme) => {
      await using visitor = await Visitor.open(browser, app.origin, { colorScheme, reducedMotion: 'reduce' });
      await visitor.sees('#post-list li', 'first post');
      await visitor.sees('#process-list li', 'Atlantis 1 not listening');

      const background = await visitor.page.evaluate(
        'getComputedStyle(document.documentElement).backgroundColor',
      );
      const contrasts = await contrastsOf(visitor.page);

      expect(background).toBe(colorScheme === 'light' ? 'rgb(251, 250, 246)' : 'rgb(23, 22, 20)');
      expect(contrasts.length).toBeGreaterThan(50);
      expect(contrasts.filter(({ ratio }) => ratio < 4.5)).toEqual([]);
      await visitor.page.evaluate(ALL_FRESH);
      const ofFresh = await contrastsOf(visitor.page);
      expect(ofFresh.filter(({ ratio }) => ratio < 4.5)).toEqual([]);
    },
  );

  it('shows no animation to a visitor who prefers reduced motion', async () => {
    await using visitor = await Visitor.open(browser, app.origin, { reducedMotion: 'reduce' });
    await using other = await Visitor.open(browser, app.origin);

    await visitor.createAuthor('Still');

    const animation = ({ page }: Visitor) =>
      page.evaluate(`getComputedStyle(document.querySelector('#author-list li')).animationName`);
    await other.sees('#author-list li', 'Still');
    await expect(animation(visitor)).resolves.toBe('none');
    await expect(animation(other)).resolves.toBe('arrive');
  });

  it.each([360, 700, 1_280])('fits a window %i pixels wide', async (width) => {
    await using visitor = await Visitor.open(browser, app.origin, { viewport: { width, height: 740 } });
    await visitor.sees('#edition-list li', 'dead letter');

    await expect(visitor.page.evaluate('document.documentElement.scrollWidth')).resolves.toBe(width);
    const targets = visitor.page.locator('button:visible, input:visible');
    const boxes = await targets.evaluateAll((all) =>
      all.map(
        (each) =>
          each.getBoundingClientRect().toJSON() as Record<'left' | 'right' | 'width' | 'height', number>,
      ),
    );
    expect(boxes.length).toBeGreaterThan(10);
    // WCAG 2.2, target size
    for (const { left, right, width: wide, height } of boxes)
      expect([left >= 0, right <= width, wide >= 24, height >= 24]).toEqual([true, true, true, true]);
  });

  it('can neither send requests to another host nor run inline scripts', async () => {
    await using visitor = await Visitor.open(browser, app.origin);
    await using stranger = await SampleApp.start(database.url);
    await visitor.createAuthor('<img src=x onerror="document.title = 1">');
    await visitor.sees('#author-list li', '<img src=x');

    const asked = visitor.page.evaluate(`fetch('${stranger.origin}/reads', { mode: 'no-cors' })`);

    await expect(asked).rejects.toThrow(/Failed to fetch|violates/);
    await visitor.page.evaluate(INLINE_SCRIPT);
    await expect(visitor.page.title()).resolves.toContain('Newsroom');
  });

  it('reports a lost connection and reconnects by itself', async () => {
    const port = await freePort(); // used for both starts
    await using visitor = await whileRunning(port, (origin) => Visitor.open(browser, origin));
    await visitor.page.getByText('Connection lost').waitFor();

    await whileRunning(port, async () => {
      await visitor.seeLive();
      await visitor.createAuthor('Back again');
      await visitor.sees('#post-list li', 'first post of Back again.');
    });
  });

  async function whileRunning<T>(port: number, work: (origin: string) => Promise<T>): Promise<T> {
    await using running = await SampleApp.start(database.url, port);
    return await work(running.origin);
  }
});

/** The names of the elements that the Tab key reaches. */
async function tabStops({ page }: Visitor, count: number): Promise<string[]> {
  const names: string[] = [];
  for (let stop = 0; stop < count; stop++) {
    await page.keyboard.press('Tab');
    names.push(await page.evaluate<string>(NAME_OF_FOCUSED));
  }
  return names;
}

const INLINE_SCRIPT = `document.head.append(Object.assign(document.createElement('script'), { textContent: 'document.title = 1' }))`;

/** Gives each entry the background with which a new one appears. */
const ALL_FRESH = `for (const { style } of document.querySelectorAll('.list li')) style.background = 'var(--fresh)'`;

const NAME_OF_FOCUSED = `document.activeElement.ariaLabel ?? document.activeElement.textContent.trim()`;
