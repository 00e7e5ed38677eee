import fs from 'node:fs';
import { createRequire, register } from 'node:module';
import path from 'node:path';
import { pathToFileURL } from 'node:url';
import type * as TypeScript from 'typescript';
import { wrongUsage, type CommandFailure } from './command-failure.js';

type Require = ReturnType<typeof createRequire>;

/**
 * The function that `require()` calls for `.ts` at the start: Node's, or a loader's that options of
 * Node have registered. Node loads no TypeScript before 22.18, and no decorators since.
 */
const AT_START = loaderOf(createRequire(import.meta.url));

/**
 * Registers a loader if the file is TypeScript, unless an option of Node or `--import` has
 * registered one. Uses the first of tsx and ts-node that resolves from the file's folder; ts-node
 * first if the tsconfig sets `emitDecoratorMetadata`, because tsx (esbuild) writes no metadata.
 *
 * `needsMetadata`: rejects tsx then, because Nest would inject nothing without an error.
 */
export async function prepareTypeScript(file: string, { needsMetadata = false } = {}): Promise<void> {
  const located = path.resolve(file);
  const require = createRequire(located);
  if (!/\.[cm]?ts$/.test(file) || !fs.existsSync(located) || isPrepared(require)) return;
  const tsconfig = findTsconfig(path.dirname(located));
  const hasMetadata = tsconfig !== undefined && emitsMetadata(require, tsconfig);
  const [tsx, tsNode] = [find(require, 'tsx'), find(require, 'ts-node')];
  if (tsNode !== undefined && (tsx === undefined || hasMetadata)) registerTsNode(require, tsNode, tsconfig);
  else if (hasMetadata && needsMetadata) throw noRunner(file, 'ts-node', 'ts-node');
  else if (tsx !== undefined) await registerTsx(tsx, tsconfig);
  else if (AT_START === undefined) throw noRunner(file, 'tsx or ts-node', hasMetadata ? 'ts-node' : 'tsx');
}

/** Returns the function for `.ts`, which tsx, ts-node and @swc-node/register replace. */
function loaderOf(require: Require): NodeJS.RequireExtensions[string] | undefined {
  return require.extensions['.ts']; // deprecated, but the only trace of a loader
}

const isPrepared = (require: Require): boolean =>
  loaderOf(require) !== AT_START ||
  hasLoader([process.env['NODE_OPTIONS'] ?? '', ...process.execArgv].join(' '), AT_START?.name);

/**
 * Whether these options of Node have registered a TypeScript loader: a known package, or a function
 * for `.ts` (of the given name) that is not Node's. Preloaded debuggers and tracers are no loaders.
 */
export const hasLoader = (nodeOptions: string, functionName: string | undefined): boolean =>
  KNOWN_LOADER.test(nodeOptions) ||
  (PRELOAD.test(nodeOptions) && functionName !== undefined && functionName !== NODE_FUNCTION);

const PRELOAD = /(?:^|\s)(?:-r|--require|--import|--(?:experimental-)?loader)[\s=]/;
const KNOWN_LOADER =
  /(?:^|\s)(?:-r|--require|--import|--(?:experimental-)?loader)[\s=]["']?(?:[^\s"']*[/\\])?(?:tsx|ts-node|ts-node-dev|@swc-node|@swc[/\\]register|esbuild-register|@esbuild-kit|jiti)(?=["'/\\\s]|$)/;
const NODE_FUNCTION = 'loadTS';

function find(require: Require, name: string): string | undefined {
  try {
    return require.resolve(name);
  } catch {
    return undefined;
  }
}

function findTsconfig(folder: string): string | undefined {
  const file = path.join(folder, 'tsconfig.json');
  if (fs.existsSync(file)) return file;
  const parent = path.dirname(folder);
  return parent === folder ? undefined : findTsconfig(parent);
}

/** Returns `false` if TypeScript is not installed beside the file, or lacks this API. */
function emitsMetadata(require: Require, tsconfig: string): boolean {
  try {
    const ts = require('typescript') as typeof TypeScript;
    const { config } = ts.readConfigFile(tsconfig, (file) => ts.sys.readFile(file)) as { config: unknown };
    const host = { ...ts.sys, readDirectory: () => [] }; // options only, no search for sources
    const { options } = ts.parseJsonConfigFileContent(config, host, path.dirname(tsconfig));
    return options.emitDecoratorMetadata === true;
  } catch {
    return false;
  }
}

/** Registers CommonJS in this thread, and modules in the thread of `ts-node.hooks.ts`. */
function registerTsNode(require: Require, runner: string, tsconfig: string | undefined): void {
  const options = {
    transpileOnly: true,
    ...(tsconfig && process.env['TS_NODE_PROJECT'] === undefined && { project: tsconfig }),
    ignoreDiagnostics: [TS_ROOT_DIR],
  };
  (require(runner) as { register(options: object): void }).register(options);
  const hooks = new URL('ts-node.hooks.js', import.meta.url);
  register(hooks, { data: { url: pathToFileURL(runner).href, options } });
}

/** "rootDir must be set", an error of TypeScript 6 that only concerns emitted files. */
const TS_ROOT_DIR = 5011;

/** Imports the main file of tsx, as `node --import tsx` does. */
async function registerTsx(runner: string, tsconfig: string | undefined): Promise<void> {
  if (tsconfig) process.env['TSX_TSCONFIG_PATH'] ??= tsconfig;
  await import(pathToFileURL(runner).href);
}

const noRunner = (file: string, required: string, advised: string): CommandFailure =>
  wrongUsage(
    `${file} is TypeScript and requires ${required}, which cannot be resolved from ${path.dirname(path.resolve(file))}. ` +
      `Run "npm install -D ${advised}", or name the built file.`,
  );
