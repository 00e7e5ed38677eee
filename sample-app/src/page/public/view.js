// @ts-check
/** What the page shows of a state: words and numbers, ready for the templates of `index.html`, which only name them. */

/** @typedef {import('../../feed/front-page.ts').AsJson<import('../../feed/front-page.ts').FrontPage>} State */
/** @typedef {State['editions'][number]} EditionState */
/** @typedef {State['processes'][number]} ProcessState */
/** @typedef {ReturnType<typeof viewOf>} View */

/** What is handled, by its channel. @type {Readonly<Record<string, readonly [one: string, many: string]>>} */
const WORK = {
  author: ['first post', 'first posts'],
  post_reads: ['read', 'reads'],
  printing: ['edition', 'editions'],
};

const ROLES = { all: 'serves pages, and handles', web: 'serves pages', listener: 'handles' };

const STATES = {
  connecting: 'Connecting',
  listening: 'Listening',
  deaf: 'Does not hear',
  reconnecting: 'Reconnecting',
  closed: 'Closed',
};

/** Before the first state has arrived. @type {State} */
export const NOTHING = {
  process: '',
  connection: 'connecting',
  authors: { count: 0, latest: [] },
  posts: { count: 0, latest: [], cached: 0 },
  reads: { count: 0, latest: [] },
  editions: [],
  waiting: 0,
  processes: [],
  wire: [],
};

/** @param {State} state @param {State} first what was there when the page was opened: the rest is fresh */
export function viewOf(
  { process, connection, authors, posts, reads, editions, waiting, processes, wire },
  first,
) {
  const most = Math.max(1, ...processes.map(totalOf));
  return {
    process,
    connection,
    connectionText: STATES[connection],
    authors: {
      count: number(authors.count),
      latest: authors.latest.map((author) => ({ ...author, isFresh: isFresh(author, first.authors.latest) })),
      isFull: authors.count > 0,
    },
    posts: {
      count: number(posts.count),
      latest: posts.latest.map((post) => postView(post, isFresh(post, first.posts.latest))),
      cached: count(posts.cached, ['post', 'posts']),
      isFull: posts.count > 0,
    },
    reads: reads.latest.map(({ date, reads: times }) => ({ date, times: number(times) })),
    readsInAll: number(reads.count),
    hasReads: reads.count > 0,
    editions: editions.map(editionView),
    hasEditions: editions.length > 0,
    waiting: number(waiting),
    processes: processes.map((each) => processView(each, most)),
    wire: wire.map(({ id, at, kind, text }) => ({ id, kind, text, time: time(at) })),
    gap: wire.find(({ kind }) => kind === 'gap')?.text ?? '',
  };
}

/** @param {{ readonly id: number }} row @param {readonly { readonly id: number }[]} known the newest first */
const isFresh = ({ id }, [newest]) => id > (newest?.id ?? 0);

/** @param {State['posts']['latest'][number]} post @param {boolean} isFresh */
const postView = ({ id, content }, isFresh) => ({
  id,
  content,
  isFresh,
  readLabel: `Read post ${id}`,
  rewriteLabel: `Rewrite post ${id}`,
});

/** @param {EditionState} edition */
const editionView = (edition) => ({
  id: edition.id,
  title: `Edition ${edition.id}`,
  text: describeEdition(edition),
  isDead: edition.isDead,
  repairLabel: `Clear the jam and retry edition ${edition.id}`,
});

/** @param {EditionState} edition */
function describeEdition({ printedAt, attempts, error, isDead }) {
  if (printedAt !== null) return `printed at ${time(printedAt)}`;
  if (isDead) return `dead letter after ${attempts} attempts: ${error}`;
  if (attempts > 0) return `failed ${count(attempts, ['time', 'times'])}, will be tried again: ${error}`;
  return 'waits for a listener';
}

/** @param {ProcessState} process @param {number} most of the busiest */
function processView(process, most) {
  const [name = '', pid = ''] = process.name.split('-');
  const work = Object.entries(process.handled).map(([channel, times]) =>
    count(times, WORK[channel] ?? [channel, channel]),
  );
  return {
    key: process.name,
    name,
    pid,
    text: process.role === null ? 'does not listen any more' : ROLES[process.role],
    work: work.join(', ') || 'has handled nothing yet',
    total: totalOf(process),
    most,
    barLabel: `Handled by ${name}`,
  };
}

/** @param {ProcessState} process */
const totalOf = ({ handled }) => Object.values(handled).reduce((sum, times) => sum + times, 0);

/** @param {number} value */
const number = (value) => value.toLocaleString('en');

/** @param {number} value @param {readonly [one: string, many: string]} words */
const count = (value, [one, many]) => `${number(value)} ${value === 1 ? one : many}`;

/** @param {string} at */
const time = (at) => new Date(at).toLocaleTimeString('en', { hour12: false });
