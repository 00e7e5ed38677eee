import fs from 'node:fs';
import path from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import type { DynamicModule, Type } from '@nestjs/common';
import { wrongUsage } from './command-failure.js';
import { reasonOf } from './load-reason.js';
import { prepareTypeScript } from './typescript.loader.js';

/** What Nest builds an application from. */
export type NestModule = Type | DynamicModule;

/** What `@Module()` leaves on a class, by the properties it was given. */
const MODULE_METADATA = ['imports', 'providers', 'controllers', 'exports'];

/** What is meant when no name is given. */
const PREFERRED = ['default', 'AppModule'];

const HERE = fileURLToPath(import.meta.url);

/**
 * Loads the Nest module that `<file>[#ExportName]` means: without a name the default export, else `AppModule`, else the
 * only one there is. Anything else is wrong usage, with a sentence that says what was found.
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
    return (await import(pathToFileURL(path.resolve(file)).href)) as Record<string, unknown>; // the namespace of a module
  } catch (cause) {
    const reason = reasonOf(cause, HERE);
    throw wrongUsage(fs.existsSync(file) ? notLoaded(file, reason) : missing(file, reason), { cause });
  }
}

const missing = (file: string, reason: string): string =>
  `expected ${file} to be a built file that exports a Nest module, got: ${reason}. ` +
  'Build the application, and name the file as in "pgpubsub listen dist/app.module.js".';

const notLoaded = (file: string, reason: string): string =>
  `expected ${file} to load, got: ${reason}. ${PRELOAD_HINT}`;

/** An application may need what its main.ts does first, and nothing in its errors says so. */
export const PRELOAD_HINT =
  'If main.ts does something first, such as reading .env or initializeTransactionalContext(), do it here, too: ' +
  '"--env-file .env", "--import <file>".';

/**
 * Exports that are Nest modules, by their names; a CommonJS file may have them all in its default export. Of promises,
 * since a dynamic module may be one, only those that may be meant are waited for: others may never settle.
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
      ? 'Name the file of what main.ts gives to NestFactory.create(), as in "pgpubsub listen dist/app.module.js".'
      : `It exports these: ${names.join(', ')}; name one: <file>#${names[0]}.`;
  throw wrongUsage(`expected ${given} to export a Nest module (a class with @Module()), got ${got}. ${way}`);
}
