import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import fs from 'node:fs/promises';
import { existsSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import pg from 'pg';
import { freePort } from '../../tools/embedded-postgres.js';
import { eventually } from './mailbox.js';

const DIRECTORIES = [...(process.env['PATH'] ?? '').split(path.delimiter), '/usr/sbin', '/usr/local/sbin'];

const PROGRAM = DIRECTORIES.map((directory) => path.join(directory, 'pgbouncer')).find((file) =>
  existsSync(file),
);

/** A PgBouncer for a database, in transaction mode: all clients share its few sessions. */
export class PgBouncer implements AsyncDisposable {
  static readonly isInstalled = PROGRAM !== undefined;

  private constructor(
    readonly url: string,
    private readonly child: ChildProcess,
    private readonly directory: string,
  ) {}

  static async start(databaseUrl: string, sessions: number): Promise<PgBouncer> {
    if (PROGRAM === undefined) throw new Error('expected pgbouncer to be installed, got none on the PATH');
    const directory = await fs.mkdtemp(path.join(os.tmpdir(), 'pgpubsub-bouncer-'));
    await fs.chmod(directory, 0o755);
    const port = await freePort();
    const file = path.join(directory, 'pgbouncer.ini');
    await fs.writeFile(file, configuration(new URL(databaseUrl), port, sessions));
    const account = process.getuid?.() === 0 ? ['-u', 'nobody'] : []; // PgBouncer refuses to run as root
    const child = spawn(PROGRAM, ['-q', ...account, file], { stdio: 'ignore' });
    const url = new URL(databaseUrl);
    Object.assign(url, { hostname: '127.0.0.1', port: String(port) });
    const bouncer = new PgBouncer(url.href, child, directory);
    await eventually(() => accepts(url.href), 'PgBouncer accepts connections');
    return bouncer;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.child.exitCode === null) {
      const ended = once(this.child, 'exit');
      this.child.kill('SIGINT');
      await ended;
    }
    await fs.rm(this.directory, { recursive: true });
  }
}

/** Accepts every client as the user of the database's URL. */
function configuration(
  { hostname, port, username, password }: URL,
  ownPort: number,
  sessions: number,
): string {
  const server = [`host=${hostname}`, `port=${port || 5432}`, `user=${decodeURIComponent(username)}`];
  if (password) server.push(`password=${decodeURIComponent(password)}`);
  return `
[databases]
* = ${server.join(' ')}
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = ${ownPort}
unix_socket_dir =
auth_type = any
pool_mode = transaction
default_pool_size = ${sessions}
`;
}

async function accepts(url: string): Promise<boolean> {
  const client = new pg.Client(url);
  client.on('error', () => undefined);
  try {
    await client.connect();
    await client.query('select 1');
    return true;
  } catch {
    return false;
  } finally {
    await client.end().catch(() => undefined);
  }
}
