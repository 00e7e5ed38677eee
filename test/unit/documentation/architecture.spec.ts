import { existsSync, readdirSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { locate, readText, sectionOf } from '../../support/documents.js';

const text = readText('ARCHITECTURE.md');
/** The code in the first or second column of a section's table. */
const codesOf = (heading: string, column: 1 | 2): string[] =>
  sectionOf(text, heading)
    .split('\n')
    .filter((line) => line.startsWith('| ') && !line.startsWith('| ---'))
    .flatMap((line) =>
      Array.from((line.split('|')[column] ?? '').matchAll(/`([^`]+)`/g), ([, code = '']) => code),
    );

describe('ARCHITECTURE.md', () => {
  it('names each folder of lib/ as a room', () => {
    const folders = readdirSync(locate('lib'), { withFileTypes: true }).filter((entry) =>
      entry.isDirectory(),
    );
    const rooms = codesOf('## Rooms', 1).filter((code) => code.endsWith('/'));
    expect(rooms.toSorted()).toEqual(folders.map(({ name }) => `${name}/`).toSorted());
  });

  it('names files that exist for ten changes', () => {
    const paths = codesOf('## Where do I change …', 2);
    expect(paths.length).toBeGreaterThanOrEqual(10);
    expect(paths.filter((path) => !existsSync(locate(`lib/${path}`)))).toEqual([]);
  });
});
