#!/usr/bin/env node
// @ts-check
/**
 * Compares the public types of each entry point with its report in `api/`, and prints the
 * differences: `node tools/api-reports.js`, after a build. With `--update` the reports are written.
 *
 * API Extractor reads the declarations in `dist/`. A report holds the exports of an entry point and
 * the declarations that they refer to, such as the options of an interface. A report omits
 * comments, so that only changes of types change a report, members marked `@internal`, and
 * declarations that are in the report of the main entry point.
 */
import { CompilerState, Extractor, ExtractorConfig, ExtractorLogLevel } from '@microsoft/api-extractor';
import { spawnSync } from 'node:child_process';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import ts from 'typescript';

const ROOT = fileURLToPath(new URL('..', import.meta.url));
const FOLDER = path.join(ROOT, 'api');
const UPDATE = 'npm run api:update';
const HEADING = `<!-- The public types of an entry point, written by "${UPDATE}". Do not edit. -->`;
const NOT_REPORTED = { logLevel: ExtractorLogLevel.None };

/** @typedef {{ name: string, declarations: string }} EntryPoint the name of the report, and an absolute path */

/** The entry points of `package.json`, the main one first. @returns {EntryPoint[]} */
export function readEntryPoints() {
  const manifest = JSON.parse(fs.readFileSync(path.join(ROOT, 'package.json'), 'utf8'));
  /** @type {Record<string, { types?: string }>} */
  const exported = manifest.exports;
  return Object.entries(exported).flatMap(([entry, { types }]) =>
    types === undefined ? [] : [{ name: nameOf(entry, manifest.name), declarations: path.join(ROOT, types) }],
  );
}

/** @param {string} entry @param {string} packageName */
const nameOf = (entry, packageName) => (entry === '.' ? packageName : entry.slice('./'.length));

/**
 * Returns the expected reports by file name.
 * @param {readonly EntryPoint[]} entryPoints @param {string} directory receives the files of API Extractor
 * @returns {Map<string, string>}
 */
function createReports(entryPoints, directory) {
  const configs = entryPoints.map((entryPoint) => configOf(entryPoint, entryPoints, directory));
  const [first, ...others] = configs;
  if (first === undefined) throw new Error('package.json has no entry point with "types"');
  const additionalEntryPoints = others.map(({ mainEntryPointFilePath }) => mainEntryPointFilePath);
  const compilerState = CompilerState.create(first, { additionalEntryPoints });
  const reports = /** @type {Map<string, string>} */ (new Map());
  /** @type {Set<string>} */
  let known = new Set();
  for (const config of configs) {
    const { succeeded } = Extractor.invoke(config, { localBuild: true, compilerState, messageCallback });
    if (!succeeded) throw new Error(`API Extractor could not read ${config.mainEntryPointFilePath}`);
    const { code, names } = pruneReport(fs.readFileSync(config.reportFilePath, 'utf8'), known);
    const file = path.basename(config.reportFilePath);
    reports.set(file, `${HEADING}\n\n\`\`\`ts\n${code}\n\`\`\`\n`);
    if (config === first) known = names;
  }
  return reports;
}

/** @param {EntryPoint} entryPoint @param {readonly EntryPoint[]} all @param {string} directory */
function configOf({ name, declarations }, all, directory) {
  const files = all.map((one) => one.declarations);
  const compilerOptions = { module: 'nodenext', target: 'es2023', lib: ['es2023', 'esnext.disposable'], strict: true, skipLibCheck: true, types: ['node'] }; // prettier-ignore
  return ExtractorConfig.prepare({
    configObjectFullPath: undefined,
    packageJsonFullPath: path.join(ROOT, 'package.json'),
    configObject: {
      projectFolder: ROOT,
      mainEntryPointFilePath: declarations,
      newlineKind: 'lf',
      compiler: { overrideTsconfig: { compilerOptions, files } },
      apiReport: {
        enabled: true,
        includeForgottenExports: true,
        reportFileName: `${name}.api.md`,
        reportFolder: directory,
        reportTempFolder: path.join(directory, 'temp'),
      },
      docModel: { enabled: false },
      dtsRollup: { enabled: false },
      tsdocMetadata: { enabled: false },
      messages: {
        extractorMessageReporting: { default: NOT_REPORTED }, // forgotten exports are in the report
        tsdocMessageReporting: { default: NOT_REPORTED }, // TypeDoc checks the comments
      },
    },
  });
}

/** Prints errors only. @param {import('@microsoft/api-extractor').ExtractorMessage} message */
function messageCallback(message) {
  message.handled = true;
  if (message.logLevel === ExtractorLogLevel.Error) console.error(message.formatMessageWithLocation(ROOT));
}

/**
 * Returns the exports in the code of a report, the declarations that they refer to, and the imports
 * that these need.
 * @param {string} report the output of API Extractor
 * @param {ReadonlySet<string>} [known] names of declarations to omit
 * @returns {{ code: string, names: Set<string> }} `names` are those of the declarations
 */
export function pruneReport(report, known = new Set()) {
  const [, code = ''] = /^```ts\n(.*?)^```$/ms.exec(report) ?? [];
  const { statements } = ts.createSourceFile('report.ts', code, ts.ScriptTarget.Latest, true);
  const kept = new Set(statements.filter(isExported));
  for (const statement of kept) {
    const mentioned = namesIn(statement); // `kept` grows during the loop
    const isNeeded = (/** @type {string} */ name) => mentioned.has(name) && !known.has(name);
    for (const other of statements) if (declaredIn(other).some(isNeeded)) kept.add(other);
  }
  const ordered = statements.filter((statement) => kept.has(statement));
  const imports = ordered.filter(ts.isImportDeclaration).map((statement) => statement.getText());
  const others = ordered.filter((statement) => !ts.isImportDeclaration(statement));
  const blocks = [imports.join('\n'), ...others.map(textOf)].filter((text) => text !== '');
  return { code: blocks.join('\n\n'), names: new Set(others.flatMap(declaredIn)) };
}

/** @param {ts.Statement} statement */
const isExported = (statement) =>
  ts.isExportDeclaration(statement) ||
  (ts.canHaveModifiers(statement) &&
    ts.getModifiers(statement)?.some(({ kind }) => kind === ts.SyntaxKind.ExportKeyword));

/** The names that a statement introduces. @param {ts.Statement} statement @returns {string[]} */
function declaredIn(statement) {
  if (ts.isVariableStatement(statement))
    return statement.declarationList.declarations.map(({ name }) => name.getText());
  if (!ts.isImportDeclaration(statement))
    return 'name' in statement ? [/** @type {ts.Identifier} */ (statement.name).text] : [];
  const { name, namedBindings } = statement.importClause ?? {};
  const isNamespace = namedBindings !== undefined && ts.isNamespaceImport(namedBindings);
  const bindings = isNamespace ? [namedBindings] : (namedBindings?.elements ?? []);
  return [...(name ? [name] : []), ...bindings.map((binding) => binding.name)].map(({ text }) => text);
}

/** The names that a statement mentions. @param {ts.Statement} statement */
function namesIn(statement) {
  const found = /** @type {Set<string>} */ (new Set());
  /** @param {ts.Node} node */
  const visit = (node) => {
    if (ts.isIdentifier(node)) found.add(node.text);
    if (!isInternal(node)) ts.forEachChild(node, visit);
  };
  visit(statement);
  return found;
}

/** Returns the code of a declaration without comments and internal members. @param {ts.Statement} statement */
function textOf(statement) {
  const internal = ts.isClassDeclaration(statement) ? statement.members.filter(isInternal) : [];
  const start = statement.getStart();
  const text = internal.reduceRight((rest, member) => {
    return rest.slice(0, member.getFullStart() - start) + rest.slice(member.getEnd() - start);
  }, statement.getText());
  return text.replaceAll(/^ *(?:\/\*\*.*?\*\/|\/\/[^\n]*)\n/gms, '');
}

/** Whether a node is a class member that applications must not call. @param {ts.Node} node */
const isInternal = (node) =>
  ts.isClassElement(node) && node.getFullText().slice(0, node.getLeadingTriviaWidth()).includes('@internal');

/** Prints the differences of a report in the format of `git diff`. @param {string} file @param {string} expected @param {string} directory */
function printDifference(file, expected, directory) {
  const before = path.join(FOLDER, file);
  const after = path.join(directory, `new-${file}`);
  fs.writeFileSync(after, expected);
  const args = ['diff', '--no-index', '--', fs.existsSync(before) ? before : os.devNull, after];
  spawnSync('git', args, { stdio: 'inherit' });
}

/** @param {ReadonlyMap<string, string>} reports @param {string} directory */
function compare(reports, directory) {
  const readReport = (/** @type {string} */ file) => {
    const place = path.join(FOLDER, file);
    return fs.existsSync(place) ? fs.readFileSync(place, 'utf8') : undefined;
  };
  const changed = [...reports].filter(([file, text]) => readReport(file) !== text);
  for (const [file, text] of changed) printDifference(file, text, directory);
  if (changed.length === 0) return;
  const files = changed.map(([file]) => `api/${file}`).join(', ');
  console.error(`\nThe public types differ from ${files}. If this is intended, run "${UPDATE}" and commit the result.`); // prettier-ignore
  process.exitCode = 1;
}

/** @param {ReadonlyMap<string, string>} reports */
function update(reports) {
  fs.rmSync(FOLDER, { recursive: true, force: true });
  fs.mkdirSync(FOLDER);
  for (const [file, text] of reports) fs.writeFileSync(path.join(FOLDER, file), text);
}

function main() {
  const directory = fs.mkdtempSync(path.join(os.tmpdir(), 'pgpubsub-api-'));
  try {
    const reports = createReports(readEntryPoints(), directory);
    if (process.argv.includes('--update')) update(reports);
    else compare(reports, directory);
  } finally {
    fs.rmSync(directory, { recursive: true });
  }
}

if (process.argv[1] === fileURLToPath(import.meta.url)) main();
