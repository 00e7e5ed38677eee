// @ts-check
import Alpine from './alpine.js';
import { NOTHING, viewOf } from './view.js';

/** @typedef {import('./view.js').State} State */
/** The scopes in which templates of a list call a method. */
/** @typedef {{ readonly post: { readonly id: number, readonly content: string } }} WithPost */
/** @typedef {{ readonly edition: { readonly id: number } }} WithEdition */

/**
 * Looks up names such as `post.content` or `createAuthor`. Alpine's own evaluator compiles
 * expressions, which the page's Content-Security-Policy forbids.
 */
Alpine.setEvaluator((element, expression) => (receive, { scope, params = [] } = {}) => {
  const own = /** @type {Record<string, unknown>} */ (scope ?? {});
  const all = Alpine.mergeProxies([own, ...Alpine.closestDataStack(element)]);
  const found = typeof expression === 'string' ? find(all, expression) : expression;
  receive?.(typeof found === 'function' ? found.apply(all, params) : found);
});

/** @param {any} scope @param {string} path for example `post.content` */
const find = (scope, path) => path.split('.').reduce((found, name) => found?.[name], scope);

const JAMMED =
  'An edition is ordered. The press is jammed: the listener fails, is retried twice, and leaves a dead letter.';

Alpine.data('newsroom', () => ({
  view: viewOf(NOTHING, NOTHING),
  /** Whether the page receives changes. */
  isLive: false,
  liveText: 'Connecting …',
  /** The result of the visitor's last action. */
  outcome: '',
  /** @type {State | undefined} The first state; rows that are newer are shown as fresh. */
  first: undefined,

  /** The stream starts with the complete state, also after a reconnect. */
  init() {
    const source = new EventSource('/feed/front-page');
    source.addEventListener('open', () => this.setLive(true, 'Live'));
    source.addEventListener('error', () => this.setLive(false, 'Connection lost, reconnecting …'));
    source.addEventListener('message', ({ data }) => {
      const state = /** @type {State} */ (JSON.parse(data));
      this.first ??= state;
      this.view = viewOf(state, this.first);
    });
  },

  /** @param {boolean} isLive @param {string} text */
  setLive(isLive, text) {
    this.isLive = isLive;
    this.liveText = text;
  },

  /** @param {SubmitEvent} event */
  async createAuthor(event) {
    const form = /** @type {HTMLFormElement} */ (event.target);
    const name = new FormData(form).get('name');
    const author = await this.send('POST', '/authors', { name });
    if (author === undefined) return;
    form.reset();
    this.outcome = `${author.name} is author ${author.id}. A listener writes the first post.`;
  },

  async createCrowd() {
    this.outcome = 'Inserting 1,000 authors …';
    const answer = await this.send('POST', '/authors/crowds', { count: 1_000 });
    if (answer !== undefined)
      this.outcome = '1,000 authors are inserted in one statement. The processes share the first posts.';
  },

  async orderJammed() {
    if (await this.send('POST', '/editions', { isJammed: true })) this.outcome = JAMMED;
  },

  async interrupt() {
    const answer = await this.send('POST', '/processes/interruptions');
    if (answer === undefined) return;
    const { ended, inserted } = answer;
    this.outcome = `${ended} LISTEN connections were closed and ${inserted} authors inserted. Each author still gets a first post.`;
  },

  /** @this {any} @param {MouseEvent} event */
  async repair(event) {
    const { id } = /** @type {WithEdition} */ (this).edition;
    const button = /** @type {HTMLButtonElement} */ (event.currentTarget);
    button.closest('li')?.focus(); // keeps the focus in the list when the button is hidden
    const answer = await this.send('POST', `/editions/${id}/repairs`);
    if (answer !== undefined) this.outcome = `The jam is cleared and edition ${id} is retried.`;
  },

  /** @this {any} */
  async read() {
    const { id } = /** @type {WithPost} */ (this).post;
    const response = await this.request('GET', `/posts/${id}`);
    if (!response) return;
    const isCached = response.headers.get('x-cache') === 'hit';
    this.outcome = `Post ${id} was read from the ${isCached ? 'cache of this process' : 'database'}. A listener counts the read.`;
  },

  /** @this {any} */
  async rewrite() {
    const { id, content } = /** @type {WithPost} */ (this).post;
    const original = content.replace(/ \(Rewritten at .*\)$/, '');
    const time = new Date().toLocaleTimeString('en', { hour12: false });
    const changed = await this.send('PATCH', `/posts/${id}`, {
      content: `${original} (Rewritten at ${time}.)`,
    });
    if (changed) this.outcome = `Post ${id} is rewritten. Every process drops it from its cache.`;
  },

  /** @param {MouseEvent} event */
  async copy(event) {
    const button = /** @type {HTMLButtonElement} */ (event.currentTarget);
    const command = /** @type {HTMLElement} */ (document.getElementById(button.dataset['copies'] ?? ''));
    try {
      await navigator.clipboard.writeText(command.textContent ?? '');
      this.outcome = 'The command is copied. Paste it into a terminal.';
    } catch {
      getSelection()?.selectAllChildren(command); // the clipboard is not permitted, or the page is not served by HTTPS
      this.outcome = 'The command is selected. Copy it with the keyboard.';
    }
  },

  /** Returns the response body; `undefined` after a failure, which is shown. @param {string} method @param {string} path @param {object} [body] */
  async send(method, path, body) {
    const response = await this.request(method, path, body);
    return response && (await response.json());
  },

  /** @param {string} method @param {string} path @param {object} [body] */
  async request(method, path, body) {
    const json = body && { headers: { 'content-type': 'application/json' }, body: JSON.stringify(body) };
    try {
      const response = await fetch(path, { method, ...json });
      if (response.ok) return response;
      const { message } = await response.json();
      this.outcome = `Failed: ${[message].flat().join('; ')}`;
    } catch {
      this.outcome = 'Failed: the newsroom does not respond.';
    }
    return undefined;
  },
}));

Alpine.start();
