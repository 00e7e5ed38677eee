// @ts-check
import Alpine from './alpine.js';
import { NOTHING, viewOf } from './view.js';

/** @typedef {import('./view.js').State} State */
/** Templates call what acts on one of a list with that one in scope. */
/** @typedef {{ readonly post: { readonly id: number, readonly content: string } }} WithPost */
/** @typedef {{ readonly edition: { readonly id: number } }} WithEdition */

/**
 * The templates only name things: `post.content`, `createAuthor`. Alpine's own evaluator compiles what it finds, which
 * the page's Content-Security-Policy forbids, and rightly so.
 */
Alpine.setEvaluator((element, expression) => (receive, { scope, params = [] } = {}) => {
  const own = /** @type {Record<string, unknown>} */ (scope ?? {});
  const all = Alpine.mergeProxies([own, ...Alpine.closestDataStack(element)]);
  const found = typeof expression === 'string' ? find(all, expression) : expression;
  receive?.(typeof found === 'function' ? found.apply(all, params) : found);
});

/** @param {any} scope @param {string} path such as `post.content` */
const find = (scope, path) => path.split('.').reduce((found, name) => found?.[name], scope);

const JAMMED =
  'An edition is ordered, and the press is jammed: watch it fail, be tried again, and become a dead letter.';

Alpine.data('newsroom', () => ({
  view: viewOf(NOTHING, NOTHING),
  /** Does the page hear of changes? */
  isLive: false,
  liveText: 'Connecting …',
  /** What came of the visitor's last act. */
  outcome: '',
  /** @type {State | undefined} What comes after it is fresh. */
  first: undefined,

  /** The stream begins with the whole state, also when it comes back: nothing is remembered here. */
  init() {
    const source = new EventSource('/feed/front-page');
    source.addEventListener('open', () => this.setLive(true, 'Live'));
    source.addEventListener('error', () => this.setLive(false, 'Connection lost, trying again …'));
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
      this.outcome = '1,000 authors are inserted, in one statement. Their first posts are shared out.';
  },

  async orderJammed() {
    if (await this.send('POST', '/editions', { isJammed: true })) this.outcome = JAMMED;
  },

  async interrupt() {
    const answer = await this.send('POST', '/processes/interruptions');
    if (answer === undefined) return;
    const { ended, inserted } = answer;
    this.outcome = `${ended} LISTEN connections are cut, and ${inserted} authors came in meanwhile. Each of them gets its first post.`;
  },

  /** @this {any} @param {MouseEvent} event */
  async repair(event) {
    const { id } = /** @type {WithEdition} */ (this).edition;
    const button = /** @type {HTMLButtonElement} */ (event.currentTarget);
    button.closest('li')?.focus(); // the button is hidden when it has worked, and would take the focus along
    const answer = await this.send('POST', `/editions/${id}/repairs`);
    if (answer !== undefined) this.outcome = `The jam is cleared, and edition ${id} is back at work.`;
  },

  /** @this {any} */
  async read() {
    const { id } = /** @type {WithPost} */ (this).post;
    const response = await this.request('GET', `/posts/${id}`);
    if (!response) return;
    const isCached = response.headers.get('x-cache') === 'hit';
    this.outcome = `Post ${id} is read, from the ${isCached ? 'cache of this process' : 'database'}. A listener counts it.`;
  },

  /** @this {any} */
  async rewrite() {
    const { id, content } = /** @type {WithPost} */ (this).post;
    const original = content.replace(/ \(Rewritten at .*\)$/, '');
    const time = new Date().toLocaleTimeString('en', { hour12: false });
    const changed = await this.send('PATCH', `/posts/${id}`, {
      content: `${original} (Rewritten at ${time}.)`,
    });
    if (changed) this.outcome = `Post ${id} is rewritten: every process has dropped it from its cache.`;
  },

  /** @param {MouseEvent} event */
  async copy(event) {
    const button = /** @type {HTMLButtonElement} */ (event.currentTarget);
    const command = /** @type {HTMLElement} */ (document.getElementById(button.dataset['copies'] ?? ''));
    try {
      await navigator.clipboard.writeText(command.textContent ?? '');
      this.outcome = 'The command is copied: paste it into a terminal.';
    } catch {
      getSelection()?.selectAllChildren(command); // not allowed, or not over HTTPS
      this.outcome = 'The command is selected: copy it with your keyboard.';
    }
  },

  /** The answer; `undefined` after a failure, which it has told. @param {string} method @param {string} path @param {object} [body] */
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
      this.outcome = `That did not work: ${[message].flat().join('; ')}`;
    } catch {
      this.outcome = 'That did not work: the newsroom does not answer.';
    }
    return undefined;
  },
}));

Alpine.start();
