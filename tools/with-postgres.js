#!/usr/bin/env node
// @ts-check
/**
 * Runs a command with `DATABASE_URL` set: `node tools/with-postgres.js node app.js`. If the
 * variable is not set, a temporary server is started first and stopped at the end. Ends with the
 * exit code of the command.
 */
import { spawn } from 'node:child_process';
import os from 'node:os';
import { startPostgres } from './embedded-postgres.js';

const [command, ...args] = process.argv.slice(2);
if (!command) {
  console.error('usage: with-postgres.js <command> [argument …]');
  process.exit(2);
}
const server = await startPostgres();
const child = spawn(command, args, { stdio: 'inherit', env: { ...process.env, DATABASE_URL: server.url } });
// A terminal signals the whole group, a supervisor only this process. SIGTERM is forwarded in both
// cases. A terminal's SIGINT has already reached the child; a second one would end it immediately.
process.on('SIGINT', () => {});
process.on('SIGTERM', () => child.kill('SIGTERM'));
const code = await new Promise((resolve, reject) => {
  child.once('error', reject);
  child.once('exit', (status, signal) =>
    resolve(status ?? 128 + (signal ? os.constants.signals[signal] : 0)),
  );
});
await server.stop();
process.exitCode = code;
