// @ts-check
/** Turns a state into the words and numbers that the templates of `index.html` name. */

/** @typedef {import('../../feed/front-page.ts').AsJson<import('../../feed/front-page.ts').FrontPage>} State */
/** @typedef {State['editions'][number]} EditionState */
/** @typedef {State['processes'][number]} ProcessState */
/** @typedef {ReturnType<typeof viewOf>} View */

/** Words for handled notifications, by channel. @type {Readonly<Record<string, readonly [one: string, many: string]>>} */
const WORK = {
  author: ['first post', 'first posts'],
  post_reads: ['read', 'reads'],
  printing: ['edition', 'editions'],
};

const ROLES = {
  all: 'serves pages, handles notifications',
  web: 'serves pages',
  listener: 'handles notifications',
};

const STATES = {
  connecting: 'Connecting',
  listening: 'Listening',
  deaf: 'Connected, but not receiving',
  reconnecting: 'Reconnecting',
  closed: 'Closed',
};

/** The state before the first one arrives. @type {State} */
export const NOTHING = {
  process: '',
  connection: 'connecting',
  authors: { count: 0, latest: [] },
  posts: { count: 0, latest: [], cached: 0 },
  reads: { count: 0, latest: [] },
  editions: [],
  pending: 0,
  processes: [],
  log: [],
};

/** @param {State} state @param {State} first the state when the page was opened; newer rows are fresh */
export function viewOf(
  { process, connection, authors, posts, reads, editions, pending, processes, log },
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
    pending: number(pending),
    processes: processes.map((each) => processView(each, most)),
    log: log.map(({ id, at, kind, text }) => ({ id, kind, text, time: time(at) })),
    gap: log.find(({ kind }) => kind === 'gap')?.text ?? '',
  };
}

/** @param {{ readonly id: number }} row @param {readonly { readonly id: number }[]} known newest first */
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
  if (attempts > 0) return `failed ${count(attempts, ['time', 'times'])}, will retry: ${error}`;
  return 'pending';
}

/** @param {ProcessState} process @param {number} most the total of the busiest process */
function processView(process, most) {
  const [name = '', pid = ''] = process.name.split('-');
  const work = Object.entries(process.handled).map(([channel, times]) =>
    count(times, WORK[channel] ?? [channel, channel]),
  );
  return {
    key: process.name,
    name,
    pid,
    text: process.role === null ? 'not listening' : ROLES[process.role],
    work: work.join(', ') || 'nothing handled yet',
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
