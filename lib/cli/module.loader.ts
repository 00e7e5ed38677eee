import fs from 'node:fs';
import path from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import type { DynamicModule, Type } from '@nestjs/common';
import { wrongUsage } from './command-failure.js';
import { reasonOf } from './load-reason.js';
import { prepareTypeScript } from './typescript.loader.js';

/** The root module of an application. */
export type NestModule = Type | DynamicModule;

/** The metadata keys that `@Module()` sets on a class. */
const MODULE_METADATA = ['imports', 'providers', 'controllers', 'exports'];

/** The exports that are preferred when no name is given. */
const PREFERRED = ['default', 'AppModule'];

const HERE = fileURLToPath(import.meta.url);

/**
 * Loads the Nest module `<file>[#ExportName]`. Without a name takes the default export, else
 * `AppModule`, else the only module. Throws wrong usage that names the exports of the file.
 */
export async function loadModule(given: string): Promise<NestModule> {
  const { file, name } = parseReference(given);
  const found = await modulesOf(await load(file), name);
  const names = [...found.keys()];
  if (name !== undefined)
    return found.get(name) ?? refuse(given, names, `no Nest module of the name ${name}`);
  const [only, ...more] = found.values();
  const [preferred] = PREFERRED.flatMap((export_) => found.get(export_) ?? []);
  const chosen = preferred ?? (more.length === 0 ? only : undefined);
  return chosen ?? refuse(given, names, names.length === 0 ? 'none' : 'several');
}

function parseReference(given: string): { readonly file: string; readonly name: string | undefined } {
  const [, file = given, name] = /^(.+?)(?:#([\p{L}_$][\p{L}\p{N}_$]*))?$/u.exec(given) ?? [];
  return { file, name };
}

async function load(file: string): Promise<Record<string, unknown>> {
  await prepareTypeScript(file, { needsMetadata: true });
  try {
    return (await import(pathToFileURL(path.resolve(file)).href)) as Record<string, unknown>; // a module namespace
  } catch (cause) {
    const reason = reasonOf(cause, HERE);
    throw wrongUsage(fs.existsSync(file) ? notLoaded(file, reason) : missing(file, reason), { cause });
  }
}

const missing = (file: string, reason: string): string =>
  `${file} is not a built file that exports a Nest module: ${reason}. ` +
  'Build the application, and name the file as in "pgpubsub listen dist/app.module.js".';

const notLoaded = (file: string, reason: string): string =>
  `could not load ${file}: ${reason}. ${PRELOAD_HINT}`;

/** An application may need the first steps of its main.ts, which its errors do not mention. */
export const PRELOAD_HINT =
  'If main.ts does something first, such as reading .env or initializeTransactionalContext(), do it here, too: ' +
  '"--env-file .env", "--import <file>".';

/**
 * Returns the exported Nest modules by name; a CommonJS file may have them in its default export. A
 * dynamic module may be a promise: only candidates are awaited, because others may never settle.
 */
async function modulesOf(
  namespace: Record<string, unknown>,
  wanted: string | undefined,
): Promise<Map<string, NestModule>> {
  const { default: byDefault } = namespace;
  const isCommonJs = typeof byDefault === 'object' && byDefault !== null && !isNestModule(byDefault);
  const all = { ...namespace, ...(isCommonJs && (byDefault as Record<string, unknown>)) };
  const found = new Map<string, NestModule>();
  for (const [name, value] of Object.entries(all)) {
    if (name === 'module.exports') continue; // Node's own name for the default export of CommonJS
    const isWanted = wanted === undefined ? PREFERRED.includes(name) : name === wanted;
    const settled: unknown = isWanted ? await value : value;
    if (isNestModule(settled)) found.set(name, settled);
  }
  return found;
}

function isNestModule(value: unknown): value is NestModule {
  if (typeof value === 'object' && value !== null && 'module' in value)
    return typeof value.module === 'function';
  return typeof value === 'function' && MODULE_METADATA.some((key) => Reflect.hasOwnMetadata(key, value));
}

function refuse(given: string, names: readonly string[], got: string): never {
  const way =
    names.length === 0
      ? 'Name the file of the module that main.ts gives to NestFactory.create(), as in "pgpubsub listen dist/app.module.js".'
      : `It exports these: ${names.join(', ')}; name one: <file>#${names[0]}.`;
  throw wrongUsage(`expected ${given} to export a Nest module (a class with @Module()), got ${got}. ${way}`);
}
