import { readFileSync } from 'node:fs';
import type { Command } from 'commander';
import { describe, expect, it } from 'vitest';
import { createProgram } from '../../../lib/cli/program.js';

const DOCUMENT = readFileSync(new URL('../../../docs/cli.md', import.meta.url), 'utf8');

/** Generates the commands with options, including subcommands, with their usage. */
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

/** The options that a list has, each with its line. */
const listedIn = (section: string): (readonly [flags: string, line: string])[] =>
  Array.from(section.matchAll(/^- (`-.+?`): .*(?:\n {2}.*)*/gm)).flatMap(([line, names = '']) =>
    Array.from(names.matchAll(/`(-.+?)`/g), ([, flags = '']) => [flags, line] as const),
  );

const COMMANDS = [...commandsOf(createProgram(() => undefined))];
const shared = listedIn(/^## Options of several commands\n[\s\S]*?(?=^## )/m.exec(DOCUMENT)?.[0] ?? '');

describe.each(COMMANDS)('docs/cli.md on %s', (name, command) => {
  const listed = listedIn(sections.get(name) ?? '');
  const own = flagsOf(command).filter((flags) => !shared.some(([known]) => known === flags));

  it('lists exactly the options of the help', () => {
    expect(listed.map(([flags]) => flags)).toEqual(own);
  });

  it('names the allowed values of each option', () => {
    for (const { flags, argChoices = [] } of command.options) {
      const line = listed.find(([known]) => known === flags)?.[1] ?? '';
      for (const choice of argChoices) expect(line).toContain(`\`${choice}\``);
    }
  });
});

it.each(shared)('docs/cli.md lists %s, which several commands have', (flags) => {
  expect(COMMANDS.filter(([, command]) => flagsOf(command).includes(flags)).length).toBeGreaterThan(1);
});
