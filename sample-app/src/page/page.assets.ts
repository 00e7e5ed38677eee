import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';

const require = createRequire(import.meta.url);
const own = (name: string): URL => new URL(`public/${name}`, import.meta.url);

/** A file that the page loads. */
export interface Asset {
  readonly type: string;
  readonly content: string;
}

const script = (file: string | URL): Asset => ({
  type: 'text/javascript; charset=utf-8',
  content: readFileSync(file, 'utf8'),
});

/** The files that the page loads, by name. Alpine comes from `node_modules`. */
export const ASSETS: ReadonlyMap<string, Asset> = new Map([
  ['page.css', { type: 'text/css; charset=utf-8', content: readFileSync(own('page.css'), 'utf8') }],
  ['page.js', script(own('page.js'))],
  ['view.js', script(own('view.js'))],
  ['alpine.js', script(require.resolve('alpinejs/dist/module.esm.min.js'))],
]);

/** The page, with placeholders such as `{{url}}`. */
export const TEMPLATE = readFileSync(own('index.html'), 'utf8');
