import { execFileSync, fork, spawnSync, type ChildProcess } from 'node:child_process';
import { appendFileSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import pg from 'pg';
import { startPostgres, type Server } from '../../tools/embedded-postgres.js';
import type { Command, Report, Settings } from '../e2e/apps/stored/messages.js';
import { Mailbox } from './mailbox.js';

const ENTRY = fileURLToPath(new URL('../e2e/apps/.build/stored/worker.js', import.meta.url));

const ip = (...parameters: string[]): string =>
  execFileSync('ip', parameters, { encoding: 'utf8', stdio: 'pipe' });

/**
 * A host for processes of a test: a network namespace whose only link leads to this computer. The
 * addresses exist on that link only. The host's name and its addresses derive from the id of this
 * process; disposing of it removes everything.
 */
export class VanishingHost implements AsyncDisposable {
  private readonly children: ChildProcess[] = [];

  private constructor(
    private readonly name: string,
    /** The address of this computer on the link. */
    readonly gateway: string,
    private readonly address: string,
  ) {}

  /** Whether this user may create namespaces and links here, found out by creating one. */
  static get isPossible(): boolean {
    if (process.getuid?.() !== 0 || spawnSync('ip', ['-V']).error !== undefined) return false;
    const probe = `pgps-probe-${process.pid}`;
    const isPossible = spawnSync('ip', ['netns', 'add', probe]).status === 0;
    if (!isPossible) return false;
    const isRunnable = spawnSync('ip', ['netns', 'exec', probe, process.execPath, '-e', '']).status === 0;
    spawnSync('ip', ['netns', 'del', probe]);
    return isRunnable;
  }

  static create(): VanishingHost {
    const { pid } = process;
    const [third, fourth] = [(pid >> 6) & 255, (pid & 63) * 4]; // a /30 of 10.213.0.0/16
    const name = `pgps${pid}`;
    const host = new VanishingHost(name, `10.213.${third}.${fourth + 1}`, `10.213.${third}.${fourth + 2}`);
    try {
      host.connect();
    } catch (error) {
      host.remove();
      throw error;
    }
    return host;
  }

  /** The network in CIDR notation. */
  get network(): string {
    return `${this.address}/32`;
  }

  /**
   * Starts a worker of `test/e2e/apps/stored` there; resolves with its reports when it is ready.
   */
  async startWorker(url: string, settings: Settings) {
    const child = fork(ENTRY, {
      execPath: 'ip',
      execArgv: ['netns', 'exec', this.name, process.execPath],
      env: { ...process.env, DATABASE_URL: url, SETTINGS: JSON.stringify(settings) },
      stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
    });
    this.children.push(child);
    const reports = new Mailbox<Report>();
    child.on('message', (report: Report) => reports.push(report));
    await reports.find(({ type }) => type === 'ready');
    return { reports, send: (command: Command) => void child.send(command) };
  }

  /** Cuts the link: packets to the host are lost, without an error. */
  vanish(): void {
    ip('-n', this.name, 'link', 'set', 'link0', 'down');
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const running = this.children.filter(
      ({ exitCode, signalCode }) => exitCode === null && signalCode === null,
    );
    const ended = running.map((child) => new Promise((resolve) => child.once('exit', resolve)));
    for (const child of running) child.kill('SIGKILL');
    await Promise.all(ended);
    this.remove();
  }

  private connect(): void {
    const { name } = this;
    ip('netns', 'add', name);
    ip('link', 'add', name, 'type', 'veth', 'peer', 'name', 'link0', 'netns', name);
    ip('address', 'add', `${this.gateway}/30`, 'dev', name);
    ip('link', 'set', name, 'up');
    ip('-n', name, 'address', 'add', `${this.address}/30`, 'dev', 'link0');
    ip('-n', name, 'link', 'set', 'link0', 'up');
    // a router would continue to send: without this, the kernel would learn that the host is gone
    const mac = /link\/ether (\S+)/.exec(ip('-n', name, 'link', 'show', 'link0'))?.[1] ?? '';
    ip('neighbour', 'replace', this.address, 'lladdr', mac, 'dev', name, 'nud', 'permanent');
  }

  private remove(): void {
    spawnSync('ip', ['link', 'del', this.name]);
    spawnSync('ip', ['netns', 'del', this.name]);
  }
}

/**
 * Starts a server that also listens on this address, for clients from this network; resolves with
 * the server, and a function that returns its address there.
 */
export async function startPostgresOn(
  address: string,
  network: string,
): Promise<{ readonly server: Server; readonly urlOf: (url: string) => string }> {
  const server = await startPostgres({ settings: [`listen_addresses=127.0.0.1,${address}`] });
  appendFileSync(path.join(server.data, 'pg_hba.conf'), `host all all ${network} trust\n`);
  const client = new pg.Client(server.url);
  await client.connect();
  await client.query('select pg_reload_conf()');
  await client.end();
  return { server, urlOf: (url) => Object.assign(new URL(url), { hostname: address }).href };
}
