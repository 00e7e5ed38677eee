import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { EXIT } from '../../../lib/cli/command-failure.js';
import { preload } from '../../../lib/cli/preload.js';

const NAMES = ['PRELOAD_SET', 'PRELOAD_ONE', 'PRELOAD_BOTH', 'PRELOAD_IMPORTED'];

let folder: string;
beforeAll(() => {
  folder = fs.mkdtempSync(path.join(os.tmpdir(), 'preload-'));
});
afterAll(() => {
  fs.rmSync(folder, { recursive: true });
  for (const name of NAMES) Reflect.deleteProperty(process.env, name);
});

function write(name: string, text: string): string {
  const file = path.join(folder, name);
  fs.writeFileSync(file, text);
  return file;
}

it('preload() reads environment files like "node --env-file" before it imports', async () => {
  process.env['PRELOAD_SET'] = 'kept';
  const one = write('one.env', 'PRELOAD_SET=replaced\nPRELOAD_ONE="of one"\nPRELOAD_BOTH=one\n');
  const two = write('two.env', 'PRELOAD_BOTH=two\n');
  const first = write('first.cjs', 'process.env.PRELOAD_IMPORTED = "first, " + process.env.PRELOAD_BOTH;');
  const second = write('second.mjs', 'process.env.PRELOAD_IMPORTED += ", second";');

  await preload(['listen', '--channels', 'a', 'b', `--import=${first}`, '--env-file', one, '--drain', 'app.js', '--import', second, '--env-file', two]); // prettier-ignore

  expect(NAMES.map((name) => process.env[name])).toEqual(['kept', 'of one', 'two', 'first, two, second']);
});

it('preload() rejects a missing file as wrong usage and names its path', async () => {
  const missing = path.join(folder, 'missing.env');

  await expect(preload(['check', '--env-file', missing])).rejects.toMatchObject({
    message: expect.stringContaining(`could not read ${missing} of --env-file: ENOENT`) as unknown,
    exitCode: EXIT.usage,
  });
});

it('preload() imports nothing into a supervising process', async () => {
  const failing = write('failing.mjs', 'throw new Error("imported");');

  await expect(preload(['listen', 'app.js', '--import', failing])).rejects.toThrow('of --import: imported (');
  await preload(['listen', 'app.js', '--import', failing, '--processes', '2']);
});

it('preload() ignores options behind "--"', async () => {
  await preload(['listen', '--', 'app.js', '--env-file', 'no-such-file']);
});
