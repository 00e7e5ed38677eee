// @ts-check
import { parseSteps } from './page.js';

/** @typedef {import('./reader.js').Reader} Reader */
/** @typedef {import('./newsroom.js').Newsroom} Newsroom */
/** @typedef {[form: RegExp, act?: (step: string, ...captured: string[]) => unknown]} Known a step, and what to do */

/** The first that matches counts. @param {Reader} reader @param {Newsroom} newsroom @returns {Known[]} */
const commandsOf = (reader, newsroom) => [
  [/^docker run /], // there is a server,
  [/^export DATABASE_URL=/], // and its address is known
  [/^npx @nestjs\/cli new newsroom /, (command) => reader.create(command)],
  [/^cd (\S+)$/, (_, directory = '') => reader.enter(directory)],
  [/^npm install nestjs-pgpubsub$/, () => reader.installPacked()],
  [/^(?:npm install|npm run|npx) /, (command) => reader.run(command)],
  [/^(?:PORT=(\d+) )?(node .+)$/, (_, port = '3000', command = '') => newsroom.open(command, port)],
  [/^psql /, (command) => newsroom.psql(command)],
  [/^curl /, (command) => newsroom.curl(command)],
];

/** Whole paragraphs: another word may ask for something else. @param {Reader} reader @param {Newsroom} newsroom @returns {Known[]} */
const wordsOf = (reader, newsroom) => [
  [
    /^A notification carries the whole row\. Leave out .* `@NotifyChanges\(\{ exclude: \['password'\] \}\)`\.$/,
  ],
  [/^You need Node [\d.]+ or newer and a PostgreSQL, .* for example$/],
  [/^Everything below goes into `src\/`, beside what Nest has made\.$/],
  [
    /^In an application that compiles to CommonJS [^.]*\.json\), write `__dirname` for `import\.meta\.dirname`\.$/,
  ],
  [
    /^In `(.+?)`, after the application is created, add `(.+?)`: [^.]*\.$/,
    (_, file = '', code = '') => reader.addAfterCreation(file, code),
  ],
  [
    /^The migration is plain SQL: .* `(npx pgpubsub check .+?)` says at any time [^.]*\.$/,
    (_, command = '') => reader.run(command),
  ],
  [/^In two terminals \(each `npm start` would empty `dist\/` .*\):$/],
  [
    /^One of the two says `(.+?)`, never both, and there is a post: [^.]*\.$/,
    (_, line = '') => newsroom.seesInOne(line),
  ],
  [
    /^Stop both, insert `(.+?)`, start one of them: it welcomes her then\. Start the other one, too, and change a post:$/,
    async (_, name = '') => {
      await newsroom.stopsAll();
      await newsroom.insertsMeanwhile(name);
    },
  ],
  [/^Both say `(.+?)`, twice: [^.]*\.$/, (_, line = '') => newsroom.seesEverywhere(line, 2)],
];

/**
 * What `docs/getting-started.md` has its reader do, in its order; each step builds on those before. Throws when the
 * page says something that is not known here, and when it no longer says what is.
 * @param {string} page its text
 * @param {Reader} reader
 * @param {Newsroom} newsroom
 * @returns {[name: string, act: () => unknown][]}
 */
export function stepsOf(page, reader, newsroom) {
  const known = { command: commandsOf(reader, newsroom), words: wordsOf(reader, newsroom) };
  const missing = new Set([...known.command, ...known.words]);
  /** @type {[name: string, act: () => unknown][]} */
  const steps = [];
  for (const step of parseSteps(page)) {
    if (step.kind === 'file') {
      steps.push([step.text, () => reader.write(step.text, step.code)]);
      continue;
    }
    const entry = known[step.kind].find(([form]) => form.test(step.text));
    if (!entry) throw new Error(`expected ${step.kind} that the test knows, got: ${step.text}`);
    missing.delete(entry);
    const [form, act] = entry;
    const captured = form.exec(step.text)?.slice(1) ?? [];
    if (act) steps.push([step.text.slice(0, 100), () => act(step.text, ...captured)]);
  }
  if (missing.size > 0) throw new Error(`expected the page to say ${Array.from(missing, ([form]) => form)}`);
  return [...steps, ['no warning has been logged', () => newsroom.seesNoWarning()]];
}
