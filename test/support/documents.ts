import { readFileSync, readdirSync } from 'node:fs';

/** The URL of a file of the repository. */
export const locate = (path: string): URL => new URL(`../../${path}`, import.meta.url);

export const readText = (path: string): string => readFileSync(locate(path), 'utf8');

/** The pages that users read. */
export const DOCUMENTS: readonly string[] = [
  'README.md',
  'ARCHITECTURE.md',
  'website/home.md',
  ...readdirSync(locate('docs'), { recursive: true, encoding: 'utf8' })
    .filter((file) => file.endsWith('.md'))
    .map((file) => `docs/${file.replaceAll('\\', '/')}`),
];

/** The text below a heading, up to the next one of its level or of a higher one. */
export function sectionOf(text: string, heading: string): string {
  const [, after = ''] = text.split(`\n${heading}\n`);
  const level = /^#*/.exec(heading)?.[0].length ?? 0;
  return after.split(new RegExp(`^#{1,${level}} `, 'm'))[0] ?? '';
}

/** The rows of the first table, as cells, without its head. */
export function tableOf(text: string): string[][] {
  const lines = /(?:^\|.*\n)+/m.exec(text)?.[0].trim().split('\n') ?? [];
  return lines.slice(2).map((line) =>
    line
      .replaceAll(/^\||\|$/g, '')
      .split(/(?<!\\)\|/)
      .map((cell) => cell.trim().replaceAll(String.raw`\|`, '|')),
  );
}

/** The blocks of code in this language. */
export const blocksOf = (text: string, language: string): string[] =>
  Array.from(
    text.matchAll(new RegExp(`^\`\`\`${language}\\n([\\s\\S]*?)^\`\`\`$`, 'gm')),
    ([, code = '']) => code,
  );
