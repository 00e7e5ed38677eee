import type { Command } from 'commander';
import { describe, expect, it } from 'vitest';
import { createProgram } from '../../../lib/cli/program.js';
import { resolveOptions } from '../../../lib/common/options.resolver.js';
import { blocksOf, readText } from '../../support/documents.js';

/** Generates the names of the commands with their options. */
function* commandsOf(parent: Command, path = ''): Generator<readonly [string, readonly string[]]> {
  for (const command of parent.commands) {
    const name = `${path}${command.name()}`;
    const flags = command.options.flatMap(({ short, long }) => [short, long]);
    yield [name, flags.filter((flag) => flag !== undefined)];
    yield* commandsOf(command, `${name} `);
  }
}

const COMMANDS: Readonly<Record<string, readonly string[]>> = Object.fromEntries(
  commandsOf(createProgram(() => undefined)),
);

const text = readText('docs/operations.md');

/** The commands on the page, without the name of the program. */
const commands = [
  ...blocksOf(text, 'sh')
    .flatMap((block) => block.trim().split('\n'))
    .map((line) => line.replace(/^npx pgpubsub /, '').replace(/ +#.*/, '')),
  ...Array.from(text.matchAll(/`npx pgpubsub ([a-z][^`]*)`/g), ([, command = '']) => command),
  ...blocksOf(text, 'ini').flatMap((block) =>
    Array.from(block.matchAll(/pgpubsub (.*)$/gm), ([, command = '']) => command),
  ),
  ...Array.from(text.matchAll(/\[\S*pgpubsub"?, ([^\]]*)\]/g), ([, command = '']) =>
    command.replaceAll(/[",]/g, ''),
  ),
];

describe('docs/operations.md', () => {
  it('shows more than twelve commands', () => {
    expect(commands.length).toBeGreaterThan(12);
  });

  it.each([...new Set(commands)])('shows an existing command with existing options: %s', (command) => {
    // the longest name that matches
    const name = Object.keys(COMMANDS).findLast((known) => `${command} `.startsWith(`${known} `));
    expect(name).toBeDefined();
    const options = command.match(/(?<= )--?[a-z][a-z-]*/g) ?? [];
    expect(COMMANDS[name ?? '']).toEqual(expect.arrayContaining(options));
    if (name !== 'listen') expect(options).toContain('-d');
  });

  it('gives platforms a timeout that is longer than that of the shutdown', () => {
    const seconds = Array.from(text.matchAll(/(?:PeriodSeconds: |StopSec=)(\d+)/g), ([, given]) =>
      Number(given),
    );
    expect(seconds).toHaveLength(2);
    for (const each of seconds)
      expect(each * 1_000).toBeGreaterThan(resolveOptions({}, {}).shutdownTimeoutMs);
  });
});
