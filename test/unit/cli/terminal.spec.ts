import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import { CommandFailure, EXIT, printFailure } from '../../../lib/cli/command-failure.js';
import { printLine, printTable, reportLine, printMessage } from '../../../lib/cli/terminal.js';

let written: { stdout: string; stderr: string };
beforeEach(() => {
  written = { stdout: '', stderr: '' };
  for (const stream of ['stdout', 'stderr'] as const)
    vi.spyOn(process[stream], 'write').mockImplementation((text) => {
      written[stream] += String(text);
      return true;
    });
});
afterEach(() => vi.restoreAllMocks());

const HOSTILE = '\u001B[2Jgone\r\u0007\u009B1m\u202E';
const ESCAPED = String.raw`\x1b[2Jgone\r\x07\x9b1m\u202e`;

it('printLine() escapes control characters and direction marks on stdout', () => {
  printLine(`${HOSTILE}\nsecond line`);
  expect(written.stdout).toBe(`${ESCAPED}\nsecond line\n`);
});

it('printTable() escapes control characters and line breaks in cells', () => {
  printTable(['name'], [[`${HOSTILE}\nforged`]]);
  expect(written.stdout).toContain(String.raw`│ ${ESCAPED}\nforged │`);
});

it.each([
  ['a sentence', () => printMessage(HOSTILE), `pgpubsub: ${ESCAPED}\n`],
  ['a line of progress', () => reportLine(HOSTILE), `${ESCAPED}\n`],
  ['an error', () => printFailure(new CommandFailure(HOSTILE, EXIT.failed)), `pgpubsub: ${ESCAPED}\n`],
])('the command line escapes control characters in %s on stderr', (_what, write, expected) => {
  write();
  expect(written).toEqual({ stdout: '', stderr: expected });
});

it('tell() indents the further lines of a message, so that none looks like another message', () => {
  printMessage('expected "x\npgpubsub: all is well"');
  expect(written.stderr).toBe('pgpubsub: expected "x\n  pgpubsub: all is well"\n');
});
