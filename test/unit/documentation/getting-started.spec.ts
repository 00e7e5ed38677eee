import { expect, it } from 'vitest';
import { stepsOf } from '../../consumers/getting-started.js';
import { Newsroom } from '../../consumers/newsroom.js';
import { Reader } from '../../consumers/reader.js';
import { readText } from '../../support/documents.js';

const page = readText('docs/getting-started.md');
const reader = new Reader('', '', '');
const namesOf = (text: string) => stepsOf(text, reader, new Newsroom(reader)).map(([name]) => name);

// `npm run test:consumers` follows the steps
it('docs/getting-started.md has the steps that its test knows, in the same order', () => {
  const files = page.match(/(?<=^`)src\/[^`]+/gm) ?? [];
  expect(files.length).toBeGreaterThan(3);
  expect(namesOf(page).filter((name) => name.startsWith('src/'))).toEqual(files);
});

it.each([
  ['a command that its test does not know', 'cd newsroom\n', 'cd newsroom\ngit add .\n', 'git add .'],
  [
    'a paragraph with code that its test does not know',
    '## Migrate\n',
    '## Migrate\n\nSee `x`.\n',
    'See `x`',
  ],
  ['a changed instruction', 'Stop both', 'Restart both', 'Restart both'],
  [
    'a code block without the name of its file',
    '`src/app.module.ts`, replaced:\n',
    'The module:\n',
    'name of its file',
  ],
  ['a code block in another language', '```sh\nnpm run', '```bash\nnpm run', '"bash"'],
  ['a page without its request', /^```sh\ncurl .*\n```\n/m, '', 'curl'],
])('the test of docs/getting-started.md would reject %s', (_, from, to, complaint) => {
  const changed = page.replace(from, to);
  expect(changed).not.toBe(page);
  expect(() => namesOf(changed)).toThrow(complaint);
});
