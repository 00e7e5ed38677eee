import { existsSync } from 'node:fs';
import { chromium, type Browser, type BrowserContextOptions, type Page } from 'playwright-core';

/** The time that a visitor waits for a part of the page. */
const DEADLINE_MS = 60_000;

const USUAL_PLACES = [
  '/usr/bin/chromium',
  '/usr/bin/chromium-browser',
  '/usr/bin/google-chrome',
  '/snap/bin/chromium',
  '/Applications/Chromium.app/Contents/MacOS/Chromium',
  '/Applications/Google Chrome.app/Contents/MacOS/Google Chrome',
];

/** The path of a Chromium; `undefined` without one. */
export function findBrowser(): string | undefined {
  const { CHROMIUM_PATH } = process.env;
  if (!CHROMIUM_PATH) return USUAL_PLACES.find((path) => existsSync(path));
  if (existsSync(CHROMIUM_PATH)) return CHROMIUM_PATH;
  throw new Error(
    `expected CHROMIUM_PATH to be the program of a Chromium, got "${CHROMIUM_PATH}", which is not there`,
  );
}

export function launchBrowser(): Promise<Browser> {
  const executablePath = findBrowser();
  if (executablePath === undefined) throw new Error('expected a Chromium, got none');
  // the sandbox needs rights that root in a container does not have; it only opens our pages
  return chromium.launch({ executablePath, args: ['--no-sandbox'] });
}

/** A person with the page open; closes it when disposed of. */
export class Visitor implements AsyncDisposable {
  /** Problems in the browser: errors in its console, and requests to other hosts. */
  readonly complaints: string[] = [];

  private constructor(
    readonly page: Page,
    origin: string,
  ) {
    page.on('console', (message) => message.type() === 'error' && this.complaints.push(message.text()));
    page.on('pageerror', ({ message }) => this.complaints.push(message));
    page.on('request', (request) => {
      const isOurs = request.url().startsWith(`${origin}/`) || request.url().startsWith('data:');
      if (!isOurs) this.complaints.push(`request to ${request.url()}`);
    });
  }

  /** Resolves when the page is live. */
  static async open(browser: Browser, origin: string, options: BrowserContextOptions = {}): Promise<Visitor> {
    const context = await browser.newContext(options);
    context.setDefaultTimeout(DEADLINE_MS);
    const visitor = new Visitor(await context.newPage(), origin);
    await visitor.page.goto(origin);
    await visitor.seeLive();
    await visitor.page.locator('.dateline b').filter({ hasText: /-\d+/ }).waitFor(); // the first state is shown
    return visitor;
  }

  async seeLive(): Promise<void> {
    await this.page.getByText('Live', { exact: true }).waitFor();
  }

  click(button: string): Promise<void> {
    return this.page.getByRole('button', { name: button }).first().click();
  }

  async createAuthor(name: string): Promise<void> {
    await this.page.getByLabel('Name of a new author').fill(name);
    await this.click('Create author');
  }

  /** Resolves when the region shows the text. */
  sees(region: string, text: string | RegExp): Promise<void> {
    return this.page.locator(region).filter({ hasText: text }).first().waitFor();
  }

  /** The value of one of the large numbers. */
  async figure(id: string): Promise<number> {
    const text = await this.page.locator(`#${id}`).textContent();
    return Number(text?.replaceAll(',', ''));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.page.context().close();
  }
}
