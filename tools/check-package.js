#!/usr/bin/env node
// @ts-check
/**
 * Packs the library for publishing, from an up-to-date `dist/`, and checks the files in the
 * package: `node tools/check-package.js <tarball>`. Prints one line per finding.
 */
import { spawnSync } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

const ROOT = fileURLToPath(new URL('..', import.meta.url));

/** The files that may be published. */
const ALLOWED = [
  /^(?:package\.json|LICENSE|(?:README|ARCHITECTURE|CHANGELOG|CONTRIBUTING|SECURITY|test\/guarantees)\.md)$/,
  /^dist\/.+\.(?:js|d\.ts)(?:\.map)?$/,
  /^docs\/.+\.(?:md|png|svg)$/,
];

/**
 * Returns the findings about a package.
 * @param {ReadonlyMap<string, string>} files the text of each file, by its path from the folder of the package
 * @returns {string[]}
 */
export function checkPackage(files) {
  const unexpected = [...files.keys()].filter((file) => !ALLOWED.some((pattern) => pattern.test(file)));
  const missing = entriesOf(JSON.parse(files.get('package.json') ?? '{}')).filter((file) => !files.has(file));
  return [
    ...unexpected.map((file) => `${file} is packed, but is no file to publish: see "files" of package.json`),
    ...missing.map((file) => `${file} is an entry of package.json, but is not packed`),
    ...[...files].flatMap(([file, text]) => [
      ...deadLinksOf(file, text, files),
      ...(file.endsWith('.map') ? deadSourcesOf(file, text, files) : []),
    ]),
  ];
}

/** Returns the files that package.json names. @param {Record<string, unknown>} manifest @returns {string[]} */
function entriesOf({ main, types, bin, exports, typesVersions }) {
  /** @param {unknown} value @returns {string[]} */
  const pathsIn = (value) => {
    if (typeof value === 'string') return [path.posix.normalize(value)];
    return typeof value === 'object' && value !== null ? Object.values(value).flatMap(pathsIn) : [];
  };
  return [...new Set([main, types, bin, exports, typesVersions].flatMap(pathsIn))];
}

/**
 * Finds a link to a source map that is not packed. Debuggers print a warning for each.
 * @param {string} file @param {string} text @param {ReadonlyMap<string, string>} files @returns {string[]}
 */
function deadLinksOf(file, text, files) {
  if (!/\.(?:js|d\.ts)$/.test(file)) return [];
  const [, link] = /^\/\/# sourceMappingURL=(?!data:)(\S+)\s*$/m.exec(text) ?? [];
  if (link === undefined || files.has(resolve(file, link))) return [];
  return [`${file} links to the source map ${link}, which is not packed`];
}

/**
 * Finds sources that are neither in a map nor in the package. Editors and stack traces then refer
 * to missing files.
 * @param {string} file @param {string} text @param {ReadonlyMap<string, string>} files @returns {string[]}
 */
function deadSourcesOf(file, text, files) {
  const { sourceRoot = '', sources, sourcesContent = [] } = JSON.parse(text);
  const dead = /** @type {string[]} */ (sources).filter((source, index) => {
    return typeof sourcesContent[index] !== 'string' && !files.has(resolve(file, sourceRoot, source));
  });
  return dead.map((source) => `${file} points to ${source}, which is neither in the map nor packed`);
}

/** @param {string} file @param {string[]} targets relative to it */
const resolve = (file, ...targets) => path.posix.join(path.posix.dirname(file), ...targets);

/** Writes the tarball; returns the paths of the files in it. @param {string} tarball @returns {string[]} */
function pack(tarball) {
  const folder = path.dirname(path.resolve(tarball));
  fs.mkdirSync(folder, { recursive: true });
  const args = ['pack', '--json', '--ignore-scripts', '--pack-destination', folder];
  const isWindows = process.platform === 'win32'; // there npm is a batch file
  const { status, stdout, stderr } = spawnSync('npm', args, {
    cwd: ROOT,
    encoding: 'utf8',
    shell: isWindows,
  });
  if (status !== 0) throw new Error(`npm could not pack the library: ${stderr}`);
  const [{ filename, files }] = JSON.parse(stdout);
  fs.renameSync(path.join(folder, filename), tarball);
  return /** @type {{ path: string }[]} */ (files).map((file) => file.path);
}

function main() {
  const [tarball] = process.argv.slice(2);
  if (tarball === undefined) throw new Error('usage: check-package.js <tarball>');
  const paths = pack(tarball);
  const findings = checkPackage(
    new Map(paths.map((file) => [file, fs.readFileSync(path.join(ROOT, file), 'utf8')])),
  );
  for (const finding of findings) console.error(finding);
  const kilobytes = Math.round(fs.statSync(tarball).size / 1_000);
  console.log(`${paths.length} files, ${kilobytes} kB packed`);
  process.exitCode = findings.length > 0 ? 1 : 0;
}

if (process.argv[1] === fileURLToPath(import.meta.url)) main();
