import fs from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import ts from 'typescript';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { messageOf } from '../../lib/common/errors.js';
import { thrownBy } from './support/recording.js';

/**
 * The definition of an option of channels that is added to a copy of lib/. A new option takes three
 * edits: its definition, its row in docs/options.md (which `vitest -u` writes), and its use, which
 * is `USE` here. The definition is the only edit of lib/.
 */
const DEFINITION = {
  file: 'lib/channels/channel.options.ts',
  before: 'export const EXACTLY_ONCE_OPTIONS = {\n',
  added: `  /**
   * Exactly-once: claims of channels with a larger number come first.
   *
   * @defaultValue \`7\`
   */
  urgency: optional(milliseconds(1), 7),
`,
};
const USE = `
import { defineChannel } from './lib/channels/channel.definition.js';
import type { ChannelOptions } from './lib/channels/channel.options.js';
import { NotifyChanges } from './lib/triggers/notify-changes.decorator.js';

const urgency: number = defineChannel('a', { delivery: 'exactly-once', urgency: 5 }).urgency;
NotifyChanges({ delivery: 'exactly-once', urgency });
// @ts-expect-error
defineChannel('a', { urgency: 'much' });
// @ts-expect-error
NotifyChanges({ urgency: 'much' });
export const options: ChannelOptions = { urgency };
`;

type Options = Record<string, unknown>;
type Definition = Readonly<Record<'name' | 'urgency', unknown>>;

/** The modules of the copy that the tests use. */
interface Copy {
  readonly defineChannel: (name: string, options?: Options) => Definition;
  readonly resolveTriggers: (
    source: object,
    declared: readonly object[],
    schema: string,
  ) => readonly object[];
  readonly EntityChannels: new (
    triggers: readonly object[],
    decoderOf: () => undefined,
  ) => { definitions: readonly Definition[] };
  readonly ChannelRegistry: new () => { resolve(channel: unknown): Definition };
  readonly CHANNEL_OPTIONS: object;
  readonly rowsOf: (definitions: object, name: string) => readonly { name: string }[];
  readonly withLists: (page: string, tables: readonly unknown[]) => Promise<string>;
}

const repository = fileURLToPath(new URL('../..', import.meta.url));
let folder: string;
let copy: Copy;

beforeAll(async () => {
  folder = await fs.mkdtemp(path.join(os.tmpdir(), 'one-source-'));
  for (const part of ['lib', 'docs', 'test/support', 'package.json', 'tsconfig.json'])
    await fs.cp(path.join(repository, part), path.join(folder, part), { recursive: true });
  await fs.symlink(path.join(repository, 'node_modules'), path.join(folder, 'node_modules'));
  const file = path.join(folder, DEFINITION.file);
  const text = await fs.readFile(file, 'utf8');
  expect(text.split(DEFINITION.before)).toHaveLength(2);
  await fs.writeFile(file, text.replace(DEFINITION.before, DEFINITION.before + DEFINITION.added));
  await fs.writeFile(path.join(folder, 'use.ts'), USE);
  const modules: Copy[] = await Promise.all(
    [
      'lib/channels/channel.definition.ts',
      'lib/channels/channel.options.ts',
      'lib/channels/channel.registry.ts',
      'lib/triggers/trigger.resolver.ts',
      'lib/triggers/entity-channels.ts',
      'test/support/options.ts',
    ].map((name) => import(/* @vite-ignore */ pathToFileURL(path.join(folder, name)).href)),
  );
  copy = Object.assign({}, ...modules) as Copy;
}, 60_000);
afterAll(() => fs.rm(folder, { recursive: true }));

const source = { entityMetadatas: [], driver: { schema: 'public' } };
/** Returns the definition of the channel that results from the declaration of a trigger. */
const declared = (options: Options): Definition | undefined =>
  new copy.EntityChannels(
    copy.resolveTriggers(source, [{ table: 'author', ...options }], 'public'),
    () => undefined,
  ).definitions[0];
const stored = { delivery: 'exactly-once' };

describe('a channel option that is added only at its definition', () => {
  it('is accepted in definitions and declarations, with its default', () => {
    expect(copy.defineChannel('a').urgency).toBe(7);
    expect(copy.defineChannel('a', { ...stored, urgency: 5 }).urgency).toBe(5);
    expect(declared({ ...stored, urgency: 5 })?.urgency).toBe(5);
    expect(declared({ channel: copy.defineChannel('a', { ...stored, urgency: 5 }) })?.urgency).toBe(5);
  });

  it('is validated with an error that names it', () => {
    const expected =
      'to be a whole number of milliseconds from 1 to 2147483647, got "much". Correct it, or leave it out.';
    expect(messageOf(thrownBy(() => copy.defineChannel('a', { urgency: 'much' })))).toBe(
      `expected the option "urgency" of the channel "a" ${expected}`,
    );
    expect(messageOf(thrownBy(() => declared({ urgency: 'much' })))).toBe(
      `expected the option "urgency" of the table "author" ${expected}`,
    );
  });

  it('is rejected where it has no effect', () => {
    const expected = 'expected "urgency" for exactly-once channels only, got it for broadcast.';
    expect(messageOf(thrownBy(() => copy.defineChannel('a', { urgency: 5 })))).toContain(expected);
    expect(messageOf(thrownBy(() => declared({ urgency: 5 })))).toContain(expected);
  });

  it('is compared when two definitions have the same name', () => {
    const registry = new copy.ChannelRegistry();
    registry.resolve(copy.defineChannel('a', { ...stored, urgency: 5 }));
    const other = copy.defineChannel('a', { ...stored, urgency: 6 });
    expect(thrownBy(() => registry.resolve(other))).toMatchObject({ code: 'CHANNEL_CONFLICT' });
    expect(messageOf(thrownBy(() => declared({ channel: other, urgency: 5 })))).toContain(
      'expected "urgency" to be that of the channel "a" (6), got 5',
    );
  });

  it('is required in docs/options.md, and its row is generated', async () => {
    const page = await fs.readFile(path.join(folder, 'docs/options.md'), 'utf8');
    const rows = copy.rowsOf(copy.CHANNEL_OPTIONS, 'CHANNEL_OPTIONS');
    expect(rows.find(({ name }) => name === 'urgency')).toEqual({
      name: 'urgency',
      value: 'ms, from 1',
      default: '`7`',
      commented: '`7`',
      meaning: 'Exactly-once: claims of channels with a larger number come first.',
    });
    const written = await copy.withLists(page, [['## defineChannel()', rows]]);
    const added = written.split('\n').filter((line) => line.includes('`urgency`'));
    expect(page).not.toContain('`urgency`');
    expect(added).toHaveLength(1);
  });

  it('has its type in definitions and declarations, and its comment in the editor', () => {
    const file = path.join(folder, 'use.ts');
    const { config } = ts.readConfigFile(path.join(folder, 'tsconfig.json'), ts.sys.readFile) as {
      config: object;
    };
    const { options } = ts.parseJsonConfigFileContent(
      { ...config, files: ['use.ts'], include: [] },
      ts.sys,
      folder,
    );
    const service = ts.createLanguageService({
      // no types of Node, because reading them takes seconds
      getCompilationSettings: () => ({ ...options, types: [] }),
      getScriptFileNames: () => [file],
      getScriptVersion: () => '1',
      getScriptSnapshot: (name) => {
        const text = ts.sys.readFile(name);
        return text === undefined ? undefined : ts.ScriptSnapshot.fromString(text);
      },
      getCurrentDirectory: () => folder,
      getDefaultLibFileName: ts.getDefaultLibFilePath,
      fileExists: ts.sys.fileExists,
      readFile: ts.sys.readFile,
    });
    const faults = service.getSemanticDiagnostics(file).map(({ messageText }) => messageText);
    expect(faults).toEqual([]);
    for (const place of ['urgency: 5 }).urgency', 'urgency });', 'urgency };']) {
      const info = service.getQuickInfoAtPosition(file, USE.indexOf(place));
      expect([place, ts.displayPartsToString(info?.displayParts)]).toEqual([
        place,
        expect.stringMatching(/urgency\??: number/),
      ]);
    }
    const info = service.getQuickInfoAtPosition(file, USE.indexOf('urgency: 5 }).urgency'));
    expect(ts.displayPartsToString(info?.documentation)).toBe(
      'Exactly-once: claims of channels with a larger number come first.',
    );
    expect(info?.tags?.map(({ name, text }) => [name, ts.displayPartsToString(text)])).toEqual([
      ['defaultValue', '`7`'],
    ]);
  }, 60_000);
});
