/** The browser code of docs/guides/live-pages.md. */

/**
 * @typedef {object} Source The part in use of the browser's EventSource.
 * @property {(() => void) | null} onopen
 * @property {(type: string, listener: (event: { data: string }) => void) => void} addEventListener
 *
 * @typedef {object} Page
 * @property {() => void} load
 * @property {(auction: object) => void} show
 * @property {(bid: object) => void} raise
 */

/**
 * @param {new (url: string) => Source} EventSource
 * @param {Page} page
 */
export function follow(EventSource, { load, show, raise }) {
  const live = new EventSource('/auctions/live');
  live.onopen = load; // also after a reconnect of the browser
  live.addEventListener('gap', load);
  live.addEventListener('auction', ({ data }) => show(JSON.parse(data).new));
  live.addEventListener('bid_made', ({ data }) => raise(JSON.parse(data)));
}
