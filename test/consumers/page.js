// @ts-check

/**
 * A step for the reader of a page. `command` is one line of a shell block. `file` has a name and
 * its new content. `words` is a paragraph that contains code, and thus may require an action.
 * @typedef {{ kind: 'command' | 'words', text: string } | { kind: 'file', text: string, code: string }} Step
 */

const FENCE = /^```(\w*)\n([^]*?)^```$/gm;

/**
 * Returns the steps of a page in order, without headings and paragraphs that contain no code.
 * @param {string} markdown
 * @returns {Step[]}
 */
export function parseSteps(markdown) {
  /** @type {Step[]} */
  const steps = [];
  let end = 0;
  for (const { index, 0: block, 1: language = '', 2: code = '' } of markdown.matchAll(FENCE)) {
    steps.push(...paragraphsOf(markdown.slice(end, index)));
    if (language === 'sh') steps.push(...commandsOf(code));
    else steps.push(fileOf(language, code, steps.pop()));
    end = index + block.length;
  }
  return [...steps, ...paragraphsOf(markdown.slice(end))];
}

/** @param {string} text @returns {Step[]} */
const paragraphsOf = (text) =>
  text
    .split(/\n{2,}/)
    .map((paragraph) => paragraph.trim().replaceAll('\n', ' '))
    .filter((paragraph) => paragraph.includes('`'))
    .map((paragraph) => ({ kind: 'words', text: paragraph }));

/** @param {string} code @returns {Step[]} */
const commandsOf = (code) =>
  code
    .trim()
    .split('\n')
    .map((line) => ({ kind: 'command', text: line }));

/** @param {string} language @param {string} code @param {Step | undefined} before @returns {Step} */
function fileOf(language, code, before) {
  const [, name] = (before?.kind === 'words' && /^`(src\/[\w.-]+\.ts)`/.exec(before.text)) || [];
  if (language !== 'ts' || name === undefined) {
    const expected = 'expected a block of ts after a paragraph that begins with the name of its file';
    throw new Error(`${expected}, got one of "${language}" after "${before?.text}":\n${code}`);
  }
  return { kind: 'file', text: name, code };
}
