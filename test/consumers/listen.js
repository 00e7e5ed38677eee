// @ts-check
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';

const DEADLINE_MS = 60_000;

/**
 * Runs the listeners of a consumer with `pgpubsub listen`, and ends the command when it listens.
 * The command must end with 0 and log JSON without warnings.
 * @param {import('./consumer.js').Consumer} consumer
 * @param {string} databaseUrl
 */
export async function listen({ directory, command }, databaseUrl) {
  const args = [command, 'listen', 'dist/app.module.js', '--log-format', 'json'];
  const env = { ...process.env, DATABASE_URL: databaseUrl };
  const child = spawn(process.execPath, args, { cwd: directory, env, stdio: ['ignore', 'pipe', 'inherit'] });
  const late = setTimeout(() => child.kill('SIGKILL'), DEADLINE_MS);
  const exit = once(child, 'exit');
  const levels = [];
  for await (const line of createInterface(child.stdout)) {
    const { level, message } = JSON.parse(line);
    levels.push(level);
    if (String(message).startsWith('Listening to')) child.kill('SIGTERM');
  }
  const [code] = await exit;
  clearTimeout(late);
  assert.equal(code, 0);
  assert.deepEqual(new Set(levels), new Set(['log']));
}
