import fs from 'node:fs';
import { createRequire, register } from 'node:module';
import path from 'node:path';
import { pathToFileURL } from 'node:url';
import type * as TypeScript from 'typescript';
import { wrongUsage, type CommandFailure } from './command-failure.js';

type Require = ReturnType<typeof createRequire>;

/**
 * The function that `require()` calls for `.ts` when this program starts: the one of Node, or a loader that the options of Node have
 * registered. Node itself does nothing before 22.18, and knows no decorators after it.
 */
const AT_START = loaderOf(createRequire(import.meta.url));

/**
 * Makes this process load TypeScript when the file is TypeScript, unless a loader is registered: by an option of Node, or by
 * `--import` of this command. Uses the first of tsx and ts-node that resolves from the file's folder. ts-node goes first where the tsconfig sets
 * `emitDecoratorMetadata`: tsx is esbuild, which writes no metadata.
 *
 * `needsMetadata`: rejects tsx under such a tsconfig, because Nest would inject nothing and report no error.
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

/** The function that `require()` calls for `.ts`: tsx, ts-node and @swc-node/register all replace it. */
function loaderOf(require: Require): NodeJS.RequireExtensions[string] | undefined {
  return require.extensions['.ts']; // deprecated, and the one place that shows a loader
}

const isPrepared = (require: Require): boolean =>
  loaderOf(require) !== AT_START ||
  hasLoader([process.env['NODE_OPTIONS'] ?? '', ...process.execArgv].join(' '), AT_START?.name);

/**
 * Whether these options of Node have registered a loader of TypeScript. A loader is known by its package, or because the
 * function for `.ts`, of this name, is not Node's. Other files that are preloaded, of debuggers and tracers, load none.
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

/** `false` where it cannot be known: there is no TypeScript beside the file, or one without this API. */
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

/** For CommonJS in this thread, for modules in the thread of {@link file://./ts-node.hooks.ts}. */
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

/** "rootDir must be set", an error of TypeScript 6 that concerns files which are written. */
const TS_ROOT_DIR = 5011;

/** Its main file is what `node --import tsx` imports. */
async function registerTsx(runner: string, tsconfig: string | undefined): Promise<void> {
  if (tsconfig) process.env['TSX_TSCONFIG_PATH'] ??= tsconfig;
  await import(pathToFileURL(runner).href);
}

const noRunner = (file: string, expected: string, advised: string): CommandFailure =>
  wrongUsage(
    `expected ${expected} to load ${file}, which is TypeScript, and found none from ${path.dirname(path.resolve(file))}. ` +
      `Type "npm install -D ${advised}", or name the built file.`,
  );
