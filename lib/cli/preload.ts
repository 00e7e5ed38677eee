import fs from 'node:fs';
import { createRequire } from 'node:module';
import path from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { parseEnv } from 'node:util';
import { Command } from 'commander';
import { messageOf } from '../common/errors.js';
import { reasonOf } from './load-reason.js';
import { wrongUsage } from './command-failure.js';
import { prepareTypeScript } from './typescript.loader.js';

/** The options of all commands that load files of an application. */
export interface PreloadOptions {
  readonly envFile?: readonly string[];
  readonly import?: readonly string[];
}

const collect = (value: string, values: readonly string[] = []): string[] => [...values, value];

export const addPreloadOptions = (command: Command): Command =>
  command
    .option('--env-file <file>', 'file of environment variables, read first; repeatable', collect)
    .option('--import <file>', 'file or package, imported before the application; repeatable', collect);

/**
 * Reads the files of `--env-file`, then imports those of `--import`. Called before this program
 * loads Nest, TypeORM and pg, so that an import can instrument them. A supervisor imports nothing.
 */
export async function preload(args: readonly string[]): Promise<void> {
  const command = addPreloadOptions(new Command('pgpubsub')).option('--processes <number>').exitOverride();
  command.parseOptions([...args]);
  const {
    envFile = [],
    import: imports = [],
    processes,
  } = command.opts<PreloadOptions & { processes?: string }>();
  readEnvironment(envFile);
  if (processes === undefined) for (const name of imports) await importFirst(name);
}

/**
 * Works like `node --env-file`: variables that are set keep their values, and later files override
 * earlier ones. Node 20 also reads the option behind a program's name, before this program runs.
 */
function readEnvironment(files: readonly string[]): void {
  const variables = Object.assign({}, ...files.map(parse)) as Record<string, string>;
  Object.assign(process.env, { ...variables, ...process.env });
}

function parse(file: string): NodeJS.Dict<string> {
  try {
    return parseEnv(fs.readFileSync(file, 'utf8'));
  } catch (cause) {
    throw wrongUsage(`could not read ${file} of --env-file: ${messageOf(cause)}.`, {
      cause,
    });
  }
}

async function importFirst(name: string): Promise<void> {
  await prepareTypeScript(name);
  try {
    await import(locate(name));
  } catch (cause) {
    throw wrongUsage(
      `could not load ${name} of --import: ${reasonOf(cause, fileURLToPath(import.meta.url))}. ` +
        'Name a file, or a package that resolves from the current folder.',
      { cause },
    );
  }
}

/** Returns the URL of a file or package; falls back to packages that resolve from this file. */
function locate(name: string): string {
  const file = path.resolve(name);
  if (isFile(file)) return pathToFileURL(file).href;
  try {
    const resolved = createRequire(path.resolve('pgpubsub')).resolve(name);
    return path.isAbsolute(resolved) ? pathToFileURL(resolved).href : resolved;
  } catch {
    return path.isAbsolute(name) || name.startsWith('.') ? pathToFileURL(file).href : name;
  }
}

const isFile = (file: string): boolean => fs.statSync(file, { throwIfNoEntry: false })?.isFile() ?? false;
