// @ts-check
import { parseSteps } from './page.js';

/** @typedef {import('./reader.js').Reader} Reader */
/** @typedef {import('./newsroom.js').Newsroom} Newsroom */
/** @typedef {[form: RegExp, act?: (step: string, ...captured: string[]) => unknown]} Known a step and its action */

/** The first match counts. @param {Reader} reader @param {Newsroom} newsroom @returns {Known[]} */
const commandsOf = (reader, newsroom) => [
  [/^docker run /], // a server is running,
  [/^export DATABASE_URL=/], // and its address is known
  [/^npx @nestjs\/cli new newsroom /, (command) => reader.create(command)],
  [/^cd (\S+)$/, (_, directory = '') => reader.enter(directory)],
  [/^npm install nestjs-pgpubsub$/, () => reader.installPacked()],
  [/^(?:npm install|npm run|npx) /, (command) => reader.run(command)],
  [/^(?:PORT=(\d+) )?(node .+)$/, (_, port = '3000', command = '') => newsroom.open(command, port)],
  [/^psql /, (command) => newsroom.psql(command)],
  [/^curl /, (command) => newsroom.curl(command)],
];

/**
 * Matches whole paragraphs: another word may require another action.
 * @param {Reader} reader @param {Newsroom} newsroom @returns {Known[]}
 */
const wordsOf = (reader, newsroom) => [
  [
    /^A notification carries the whole row; leave out .* `@NotifyChanges\(\{ exclude: \['password'\] \}\)`\.$/,
  ],
  [/^You need Node [\d.]+ or newer and PostgreSQL\. Set `DATABASE_URL` in each terminal:$/],
  [/^In CommonJS [^.]*\.json\), write `__dirname` for `import\.meta\.dirname`, and omit `--esm` below\.$/],
  [
    /^In `(.+?)`, after the application is created, add `(.+?)`: [^.]*\.$/,
    (_, file = '', code = '') => reader.addAfterCreation(file, code),
  ],
  [
    /^The migration is plain SQL: .* `(npx pgpubsub check .+?)` compares [^.]*\.$/,
    (_, command = '') => reader.run(command),
  ],
  [/^In two terminals \(`npm start` would recompile `dist\/`\):$/],
  [/^One process logs `(.+?)`\. Its post [^.]*\.$/, (_, line = '') => newsroom.seesInOne(line)],
  [
    /^Stop both, insert `(.+?)`, and start one: it welcomes her\. Start the other; change a post:$/,
    async (_, name = '') => {
      await newsroom.stopsAll();
      await newsroom.insertsMeanwhile(name);
    },
  ],
  [/^Both log `(.+?)`: [^.]*\.$/, (_, line = '') => newsroom.seesEverywhere(line, 1)],
];

/**
 * Returns the steps of `docs/getting-started.md` in order; each needs the previous ones. Throws
 * when the page contains a step that this file does not know, or lacks one that it knows.
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
    if (!entry) throw new Error(`the page has an unknown ${step.kind}: ${step.text}`);
    missing.delete(entry);
    const [form, act] = entry;
    const captured = form.exec(step.text)?.slice(1) ?? [];
    if (act) steps.push([step.text.slice(0, 100), () => act(step.text, ...captured)]);
  }
  if (missing.size > 0) throw new Error(`the page has no match of ${Array.from(missing, ([form]) => form)}`);
  return [...steps, ['no warning has been logged', () => newsroom.seesNoWarning()]];
}
