#!/usr/bin/env node
// @ts-check
/**
 * Starts the sample application as it would be deployed: a web process, and two that listen beside it (`pgpubsub listen`),
 * on the database of `DATABASE_URL`. Ends when one of them ends, with all of them.
 */
import { fork } from 'node:child_process';
import { once } from 'node:events';
import os from 'node:os';
import { fileURLToPath } from 'node:url';

/** @typedef {import('node:child_process').ChildProcess} ChildProcess */

const fromHere = (/** @type {string} */ file) => fileURLToPath(new URL(file, import.meta.url));
const LISTEN = [
  'listen',
  fromHere('../sample-app/dist/app.module.js'),
  '--processes',
  '2',
  '--log-level',
  'warn',
];

/** @type {ChildProcess[]} */
const running = [];
let isEnding = false;

/** @param {string} program @param {string} role @param {string[]} args */
function start(program, role, args = []) {
  const child = fork(fromHere(program), args, { env: { ...process.env, ROLE: role } });
  running.push(child);
  child.once('exit', () => endOthers(child));
  return child;
}

/** @param {ChildProcess} ended */
function endOthers(ended) {
  if (isEnding) return;
  isEnding = true;
  for (const child of running) if (child !== ended) child.kill('SIGTERM');
}

// A terminal's Ctrl-C has reached all of them; SIGTERM comes to this process alone.
process.on('SIGINT', () => (isEnding = true));
process.on('SIGTERM', () => {
  isEnding = true;
  for (const child of running) child.kill('SIGTERM');
});

const web = start('../sample-app/dist/main.js', 'web');
const ended = [once(web, 'exit')];
await Promise.race([once(web, 'message'), ...ended]); // it migrates the database before it says that it is ready
if (!isEnding) ended.push(once(start('../dist/cli/main.js', 'listener', LISTEN), 'exit'));
const codes = (await Promise.all(ended)).map(
  ([code, signal]) => code ?? 128 + os.constants.signals[/** @type {NodeJS.Signals} */ (signal)],
);
process.exitCode = Math.max(...codes);
