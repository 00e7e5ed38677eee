#!/usr/bin/env node
// @ts-check
/**
 * Runs the tests that depend on the server's version (triggers, migrations, hydration, storage,
 * security) on several versions of PostgreSQL in turn, and prints a table:
 * `node tools/test-postgres-versions.js [version ...]`. Ends with 1 if a test has failed.
 */
import { spawnSync } from 'node:child_process';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { TESTED_VERSIONS } from './postgres-versions.js';

const ROOT = fileURLToPath(new URL('..', import.meta.url));
const SUITES = ['triggers/', 'storage/', 'security/', 'publishing/storing.spec.ts'].map(
  (suite) => `test/integration/${suite}`,
);

/**
 * @typedef {{ fullName: string, status: string }} TestResult
 * @typedef {{ name: string, status: string, message: string, assertionResults: TestResult[] }} FileResult
 * @typedef {{ version: string, passed: number, failed: string[], skipped: number, seconds: number }} Outcome
 */

const given = process.argv.slice(2);
const outcomes = (given.length > 0 ? given : TESTED_VERSIONS).map(run);
report(outcomes);
process.exitCode = outcomes.some(({ failed }) => failed.length > 0) ? 1 : 0;

/** @param {string} version @returns {Outcome} */
function run(version) {
  console.log(`\nPostgreSQL ${version}`);
  const directory = fs.mkdtempSync(path.join(os.tmpdir(), 'pgpubsub-results-'));
  const results = path.join(directory, 'results.json');
  const vitest = path.join(ROOT, 'node_modules/vitest/vitest.mjs');
  const args = ['run', '--project', 'integration', '--reporter=default', '--reporter=json', `--outputFile.json=${results}`]; // prettier-ignore
  const { DATABASE_URL: _ignored, ...environment } = process.env;
  const startedAt = performance.now();
  spawnSync(process.execPath, [vitest, ...args, ...SUITES], {
    cwd: ROOT,
    stdio: 'inherit',
    env: { ...environment, PGPUBSUB_TEST_POSTGRES: version },
  });
  const seconds = Math.round((performance.now() - startedAt) / 1_000);
  try {
    return { version, ...summarize(readResults(results)), seconds };
  } finally {
    fs.rmSync(directory, { recursive: true });
  }
}

/** Returns no results if the server could not be started. @param {string} file @returns {FileResult[]} */
function readResults(file) {
  if (!fs.existsSync(file)) return [];
  return /** @type {{ testResults: FileResult[] }} */ (JSON.parse(fs.readFileSync(file, 'utf8'))).testResults;
}

/** @param {readonly FileResult[]} files */
function summarize(files) {
  const tests = files.flatMap(({ name, assertionResults }) =>
    assertionResults.map(({ fullName, status }) => ({ status, name: `${path.basename(name)}: ${fullName}` })),
  );
  const failed = tests.filter(({ status }) => status === 'failed').map(({ name }) => name);
  for (const { name, status, message, assertionResults } of files)
    if (status === 'failed' && !assertionResults.some((test) => test.status === 'failed'))
      failed.push(`${path.basename(name)}: ${message}`); // a hook, or the file itself
  if (files.length === 0) failed.push('no test ran');
  const passed = tests.filter(({ status }) => status === 'passed').length;
  const skipped = tests.filter(({ status }) => status !== 'passed' && status !== 'failed').length;
  return { passed, failed, skipped };
}

/** @param {readonly Outcome[]} all */
function report(all) {
  console.log();
  console.table(
    Object.fromEntries(
      all.map(({ version, passed, failed, skipped, seconds }) => [
        `PostgreSQL ${version}`,
        { passed, failed: failed.length, skipped, seconds },
      ]),
    ),
  );
  for (const { version, failed } of all) for (const name of failed) console.log(`${version}  ${name}`);
}
