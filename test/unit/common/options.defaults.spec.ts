import { readFileSync } from 'node:fs';
import { PgPubSubModule } from 'nestjs-pgpubsub';
import ts from 'typescript';
import { describe, expect, it } from 'vitest';
import { resolveOptions } from '../../../lib/common/options.resolver.js';

/** The interfaces of lib/common/options.ts, and where their properties stand among the options. */
const PATHS: Readonly<Record<string, string>> = {
  HeartbeatOptions: 'heartbeat.',
  ReconnectOptions: 'reconnect.',
  PollOptions: 'poll.',
  BatchOptions: 'batch.',
  RetryOptions: 'retry.',
  BufferOptions: 'buffer.',
  PgPubSubExtras: '',
  PgPubSubOptions: '',
};

const documented = readDocumentedDefaults();
const actual = flatten({ ...resolveOptions({}, {}), isGlobal: PgPubSubModule.forRoot().global });

describe('the doc comments of the options', () => {
  it('are found for every interface of options', () => {
    expect([...new Set([...documented.values()].map(({ owner }) => owner))].toSorted()).toEqual(
      Object.keys(PATHS).toSorted(),
    );
  });

  it('describe every option', () => {
    expect([...documented].filter(([, { text }]) => text === '').map(([option]) => option)).toEqual([]);
  });

  it('say the default of every option that has one', () => {
    expect(Object.fromEntries(withDefault(documented))).toEqual(Object.fromEntries(actual));
  });
});

function withDefault(options: typeof documented): [string, unknown][] {
  return [...options].flatMap(([option, { value }]) => (value === undefined ? [] : [[option, value]]));
}

function readDocumentedDefaults(): Map<string, { owner: string; text: string; value: unknown }> {
  const path = new URL('../../../lib/common/options.ts', import.meta.url);
  const source = ts.createSourceFile('options.ts', readFileSync(path, 'utf8'), ts.ScriptTarget.Latest, true);
  const found: ReturnType<typeof readDocumentedDefaults> = new Map();
  for (const statement of source.statements) {
    const owner = ts.isInterfaceDeclaration(statement) ? statement.name.text : '';
    const prefix = PATHS[owner];
    if (!ts.isInterfaceDeclaration(statement) || prefix === undefined) continue;
    for (const member of statement.members) {
      const option = prefix + (member.name?.getText() ?? '');
      found.set(option, { owner, ...readComment(member) });
    }
  }
  return found;
}

function readComment(member: ts.TypeElement): { text: string; value: unknown } {
  const text = ts
    .getJSDocCommentsAndTags(member)
    .map((comment) => comment.getText())
    .join('\n');
  const literal = /@defaultValue `(?<literal>[^`]+)`/.exec(text)?.groups?.['literal'];
  return { text, value: literal === undefined ? undefined : parseLiteral(literal) };
}

/** `10_000`, `true` or `'error'`. */
function parseLiteral(literal: string): unknown {
  return JSON.parse(literal.replaceAll(/(?<=\d)_/g, '').replaceAll("'", '"'));
}

/** `retry.maxAttempts` → 10; options that are not set are left out. */
function flatten(options: object, prefix = ''): [string, unknown][] {
  return Object.entries(options).flatMap(([key, value]: [string, unknown]): [string, unknown][] => {
    if (value === undefined) return [];
    return typeof value === 'object' && value !== null
      ? flatten(value, `${prefix}${key}.`)
      : [[prefix + key, value]];
  });
}
