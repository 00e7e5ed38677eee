/**
 * Characters that end a line, move the cursor, color the terminal or reorder text: the control
 * characters of C0 and C1, the separators of lines and paragraphs, and the marks, embeddings,
 * overrides and isolates of bidirectional text.
 */
const CONTROLS = /[\p{Cc}\u2028\u2029\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]/gu;

const SHORT_ESCAPES = new Map([
  ['\n', String.raw`\n`],
  ['\r', String.raw`\r`],
  ['\t', String.raw`\t`],
]);

/**
 * Escapes a text for one line of a log. Payloads, errors and names come from others, and must not
 * be able to forge a log line or to control the terminal.
 */
export const escapeControls = (text: string): string =>
  text.replaceAll(CONTROLS, (control) => SHORT_ESCAPES.get(control) ?? escapeCode(control));

function escapeCode(control: string): string {
  const code = control.charCodeAt(0).toString(16);
  return code.length > 2 ? `\\u${code.padStart(4, '0')}` : `\\x${code.padStart(2, '0')}`;
}

/**
 * Escapes a stack and keeps its lines. The message before the first frame becomes one line. Lines
 * after it are indented, because a message may imitate a frame.
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
