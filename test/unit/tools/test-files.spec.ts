import { readdirSync } from 'node:fs';
import { expect, it } from 'vitest';
import { locate, readText } from '../../support/documents.js';

const MAX_LINES = 300;

const files = ['unit', 'integration', 'e2e', 'browser', 'support']
  .flatMap((folder) =>
    readdirSync(locate(`test/${folder}`), { recursive: true, encoding: 'utf8' }).map(
      (file) => `test/${folder}/${file}`,
    ),
  )
  .filter((file) => file.endsWith('.ts') && !file.includes('/.build/') && !file.includes('/node_modules/'));

it('no test file has more than 300 lines', () => {
  expect(files.length).toBeGreaterThan(200);
  const long = files.filter((file) => readText(file).trimEnd().split('\n').length > MAX_LINES);
  expect(long).toEqual([]);
});
