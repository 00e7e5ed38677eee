import { readFileSync } from 'node:fs';
import type { Command } from 'commander';
import { describe, expect, it } from 'vitest';
import { createProgram } from '../../../lib/cli/program.js';

const DOCUMENT = readFileSync(new URL('../../../docs/cli.md', import.meta.url), 'utf8');

/** The commands that have options, and those of their commands, as they are called. */
function* commandsOf(parent: Command, path = ''): Generator<readonly [string, Command]> {
  for (const command of parent.commands) {
    const usage = command.registeredArguments.map((argument) =>
      argument.required ? `<${argument.name()}>` : `[${argument.name()}]`,
    );
    const name = `${path}${command.name()}`;
    if (flagsOf(command).length > 0) yield [[name, ...usage].join(' '), command];
    yield* commandsOf(command, `${name} `);
  }
}

const flagsOf = (command: Command): string[] =>
  command.options.filter(({ hidden }) => !hidden).map(({ flags }) => flags);

const sections = new Map(
  DOCUMENT.split(/^## /m).map((section) => [/^`(.+?)`/.exec(section)?.[1], section] as const),
);

describe.each([...commandsOf(createProgram(() => undefined))])('docs/cli.md on %s', (name, command) => {
  it('lists the options that its help lists, and no other', () => {
    const section = sections.get(name) ?? '';
    const documented = Array.from(section.matchAll(/^\| `(-.+?)`/gm), ([, flags]) => flags);
    expect(documented).toEqual(flagsOf(command));
  });

  it('names the values that an option can have', () => {
    const section = sections.get(name) ?? '';
    for (const { flags, argChoices = [] } of command.options) {
      const row = section.split('\n').find((line) => line.startsWith(`| \`${flags}\``)) ?? '';
      for (const choice of argChoices) expect(row).toContain(`\`${choice}\``);
    }
  });
});
