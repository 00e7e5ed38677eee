import { findBrowser } from './browser.js';

/** Logs once why the tests in a browser are skipped. */
export default function setup(): void {
  if (findBrowser() === undefined)
    console.warn('No Chromium: test/browser is skipped. Install one, or set CHROMIUM_PATH to its program.');
}
