#!/usr/bin/env node
// @ts-check
/**
 * Starts the sample application on the database of `DATABASE_URL`, as in a deployment: a web
 * process and two processes of `pgpubsub listen`. When one of them ends, all are ended.
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
  child.once('exit', () => isEnding || end('SIGTERM', child));
  return child;
}

/** @param {NodeJS.Signals} signal @param {ChildProcess} [ended] */
function end(signal, ended) {
  isEnding = true;
  for (const child of running) if (child !== ended) child.kill(signal);
}

// SIGTERM may be sent to this process only. Ctrl-C in a terminal also reaches the children, except
// one that is just starting. A child ignores a repeated signal shortly after the first one.
for (const signal of /** @type {const} */ (['SIGINT', 'SIGTERM'])) process.on(signal, () => end(signal));

const web = start('../sample-app/dist/main.js', 'web');
const ended = [once(web, 'exit')];
await Promise.race([once(web, 'message'), ...ended]); // sent after the migrations
if (!isEnding) ended.push(once(start('../dist/cli/main.js', 'listener', LISTEN), 'exit'));
const codes = (await Promise.all(ended)).map(
  ([code, signal]) => code ?? 128 + os.constants.signals[/** @type {NodeJS.Signals} */ (signal)],
);
process.exitCode = Math.max(...codes);
