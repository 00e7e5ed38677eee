import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import pg from 'pg';
import { describe, expect, it } from 'vitest';
import { Mailbox } from '../support/mailbox.js';

const WITH_POSTGRES = fileURLToPath(new URL('../../tools/with-postgres.js', import.meta.url));
const isForeign = process.env['DATABASE_URL'] !== undefined;

describe.skipIf(isForeign)('tools/with-postgres.js', () => {
  it('gives a command a server, and leaves nothing of it after Ctrl-C', async () => {
    await using command = run('console.log(process.env.DATABASE_URL); setInterval(() => {}, 1_000)');
    const data = await dataDirectoryOf(await command.lines.next());
    expect(data).toContain(path.join(os.tmpdir(), 'pgpubsub-'));
    expect(existsSync(data)).toBe(true);

    command.interrupt();

    await expect(command.exit.next()).resolves.toBe(130); // 128 + SIGINT: the command does not handle it
    expect(existsSync(path.dirname(data))).toBe(false);
  });

  it('ends with the exit code of the command', async () => {
    await using command = run('process.exit(7)');

    await expect(command.exit.next()).resolves.toBe(7);
  });
});

/** Runs a program without DATABASE_URL, in a group of its own, as a terminal does; ended when disposed of. */
function run(program: string) {
  const child = spawn(process.execPath, [WITH_POSTGRES, process.execPath, '-e', program], {
    stdio: ['ignore', 'pipe', 'inherit'],
    detached: true,
    env: { ...process.env, DATABASE_URL: undefined },
  });
  const lines = new Mailbox<string>();
  const exit = new Mailbox<number | null>();
  createInterface(child.stdout).on('line', lines.push);
  child.once('close', exit.push);
  const { pid } = child;
  if (pid === undefined) throw new Error('expected a process, got none');
  return {
    lines,
    exit,
    interrupt: () => process.kill(-pid, 'SIGINT'),
    async [Symbol.asyncDispose](): Promise<void> {
      if (exit.all.length > 0) return;
      process.kill(-pid, 'SIGKILL'); // its server ends by itself
      await exit.find(() => true);
    },
  };
}

async function dataDirectoryOf(url: string): Promise<string> {
  const client = new pg.Client(url);
  await client.connect();
  try {
    const { rows } = await client.query<{ data_directory: string }>('show data_directory');
    return rows[0]?.data_directory ?? '';
  } finally {
    await client.end();
  }
}
