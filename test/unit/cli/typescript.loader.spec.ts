import { expect, it } from 'vitest';
import { hasLoader } from '../../../lib/cli/typescript.loader.js';

it.each([
  ['--import tsx', undefined],
  ['--enable-source-maps --import=tsx/esm', 'loadTS'],
  ['--require /app/node_modules/tsx/dist/preflight.cjs', undefined],
  ['-r ts-node/register/transpile-only', undefined],
  ['--loader ts-node/esm', 'loadTS'],
  ['--experimental-loader="ts-node/esm"', undefined],
  ['-r @swc-node/register', undefined],
  ['--import @swc-node/register/esm-register', 'loadTS'],
  ['-r ./hook.cjs', 'newLoader'],
  ['-r ./hook.cjs', ''],
])(
  'hasLoader() finds a TypeScript loader in the options %o with %o as the function for .ts',
  (options, name) => {
    expect(hasLoader(options, name)).toBe(true);
  },
);

it.each([
  ['', undefined],
  ['', 'loadTS'],
  ['', 'aLaterNameOfNode'],
  ['--require /usr/share/code/js-debug/src/bootloader.js', undefined],
  ['-r dotenv/config --import ./tracing.mjs', 'loadTS'],
  ['--import /home/me/tsx-project/tracing.mjs', undefined],
  ['--loader newrelic/esm-loader.mjs', undefined],
  ['--conditions tsx', undefined],
])(
  'hasLoader() finds no TypeScript loader in the options %o with %o as the function for .ts',
  (options, name) => {
    expect(hasLoader(options, name)).toBe(false);
  },
);
