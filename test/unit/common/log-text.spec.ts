import { describe, expect, it } from 'vitest';
import { warnOf } from '../../../lib/common/errors.js';
import { escapeControls, escapeStack } from '../../../lib/common/log-text.js';
import { PubSubLogger } from '../../../lib/observability/pubsub.logger.js';

const ESC = '\u001b';
const FORGED = `order 7\n[Nest] 1  - LOG [PgPubSub] all is well${ESC}[2J\u202etxet`;
const ESCAPED = String.raw`order 7\n[Nest] 1  - LOG [PgPubSub] all is well\x1b[2J\u202etxet`;

describe('escapeControls()', () => {
  it.each([
    ['line breaks', 'a\r\nb\u2028c\u2029d\u0085e', String.raw`a\r\nb\u2028c\u2029d\x85e`],
    ['tabs, NUL and DEL', 'a\tb\0c\u007f', String.raw`a\tb\x00c\x7f`],
    ['escape codes of terminals', `${ESC}[31mred${ESC}[0m\u009b2K`, String.raw`\x1b[31mred\x1b[0m\x9b2K`],
    [
      'marks of the text direction',
      '\u202e\u2066\u2069\u200f\u061c',
      String.raw`\u202e\u2066\u2069\u200f\u061c`,
    ],
  ])('escapes %s', (_what, text, escaped) => {
    expect(escapeControls(text)).toBe(escaped);
  });

  it.each(['order 7', 'Größe 日本語 👍🏽', String.raw`C:\new`, 'שלום'])('keeps "%s"', (text) => {
    expect(escapeControls(text)).toBe(text);
  });
});

describe('escapeStack()', () => {
  it('keeps the lines of a stack', () => {
    const { stack = '' } = new Error('boom');
    expect(stack).toContain('\n    at ');
    expect(escapeStack(stack)).toBe(stack);
  });

  it('turns the message into one line', () => {
    const { stack = '' } = new RangeError(FORGED);
    const [first, second] = escapeStack(stack).split('\n');
    expect(first).toBe(`RangeError: ${ESCAPED}`);
    expect(second).toMatch(/^ {4}at /);
  });

  it('indents lines after a message that looks like a frame', () => {
    const stack = `Error: x\n    at y\n[Nest] forged${ESC}[2J\n    at z (file.js:1:1)`;
    expect(escapeStack(stack)).toBe(
      String.raw`Error: x${'\n'}    at y${'\n'}    [Nest] forged\x1b[2J${'\n'}    at z (file.js:1:1)`,
    );
  });

  it('turns a stack without frames into one line', () => {
    expect(escapeStack('a\nb')).toBe(String.raw`a\nb`);
  });
});

describe('the log', () => {
  function write(event: Parameters<PubSubLogger['write']>[0]): string[] {
    const written: string[] = [];
    const collect = (...texts: (string | undefined)[]) =>
      written.push(...texts.map((text) => text ?? 'no stack'));
    const logger = new PubSubLogger({ log: collect, warn: collect, error: collect });
    logger.write(event);
    logger.close();
    return written;
  }

  it('contains no control characters of an error, neither in the line nor in the stack', () => {
    const error = new Error(FORGED);
    const [line, stack = ''] = write({
      type: 'failed',
      channel: 'orders',
      listener: 'Orders.receive',
      error,
    });
    expect(line).toBe(`Listener Orders.receive failed on channel "orders": ${ESCAPED}`);
    expect(stack.split('\n')).toHaveLength((error.stack ?? '').split('\n').length - 1);
    expect(stack).not.toMatch(/^\[Nest\]/m);
  });

  it('contains no control characters of a name', () => {
    expect(write({ type: 'claim-recovered', channel: 'a\nb' })).toEqual([
      String.raw`Claims on channel "a\nb" succeed again`,
    ]);
  });
});

it('a process warning contains no control characters of an error', async () => {
  const warned = new Promise<Error>((resolve) => process.once('warning', resolve));
  warnOf(new Error(FORGED));
  const warning = await warned;
  expect(warning.message).toBe(ESCAPED);
  expect(warning.stack).not.toMatch(/^\[Nest\]/m);
});
