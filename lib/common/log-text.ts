/**
 * Characters that end a line, move the cursor, colour the terminal, or change the order in which text is shown: the
 * control characters of C0 and C1, the separators of lines and paragraphs, and the marks, embeddings, overrides and
 * isolates of bidirectional text.
 */
const CONTROLS = /[\p{Cc}\u2028\u2029\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]/gu;

const SHORT_ESCAPES = new Map([
  ['\n', String.raw`\n`],
  ['\r', String.raw`\r`],
  ['\t', String.raw`\t`],
]);

/**
 * Returns a text as one line of a log shows it. Payloads, errors and names come from others, who must not be able to forge
 * a line of the log or to command the terminal that shows it.
 */
export const escapeControls = (text: string): string =>
  text.replaceAll(CONTROLS, (control) => SHORT_ESCAPES.get(control) ?? escapeCode(control));

function escapeCode(control: string): string {
  const code = control.charCodeAt(0).toString(16);
  return code.length > 2 ? `\\u${code.padStart(4, '0')}` : `\\x${code.padStart(2, '0')}`;
}

/**
 * Returns a stack with its lines. The message in front of the first frame becomes one line; the lines behind it are
 * indented, because a message may contain what looks like a frame.
 */
export function escapeStack(stack: string): string {
  const lines = stack.split('\n');
  const firstFrame = lines.findIndex((line) => FRAME.test(line));
  const frames = firstFrame < 0 ? [] : lines.slice(firstFrame);
  const head = firstFrame < 0 ? stack : lines.slice(0, firstFrame).join('\n');
  return [head, ...frames.map((line) => (/^\s/.test(line) ? line : `    ${line}`))]
    .map(escapeControls)
    .join('\n');
}

const FRAME = /^ {4}at /;
