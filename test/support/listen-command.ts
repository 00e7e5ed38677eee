import { spawn, type ChildProcessByStdio } from 'node:child_process';
import { createInterface } from 'node:readline';
import type { Readable } from 'node:stream';
import { fileURLToPath } from 'node:url';
import { Mailbox } from './mailbox.js';
import type { Exit } from './sample-app.js';

const fromRoot = (path: string): string => fileURLToPath(new URL(`../../${path}`, import.meta.url));

const PROGRAM = fromRoot('dist/cli/main.js');

/** The module of the built sample application. */
export const SAMPLE_APP = fromRoot('sample-app/dist/app.module.js');

/** A module of the application in `test/e2e/apps/listen`, by name. */
export const listenApp = (file: string): string => fromRoot(`test/e2e/apps/.build/listen/${file}`);

/** `pgpubsub listen` as a process; killed when disposed of. */
export class ListenCommand implements AsyncDisposable {
  /** Lines on stdout, which contain the log. */
  readonly output = new Mailbox<string>();
  /** Lines on stderr. */
  readonly errors = new Mailbox<string>();
  private readonly exit = new Mailbox<Exit>();
  private readonly child: ChildProcessByStdio<null, Readable, Readable>;

  private constructor(args: readonly string[], databaseUrl: string) {
    this.child = spawn(process.execPath, [PROGRAM, 'listen', ...args], {
      stdio: ['ignore', 'pipe', 'pipe'],
      env: { PATH: process.env['PATH'], DATABASE_URL: databaseUrl },
    });
    createInterface(this.child.stdout).on('line', this.output.push);
    createInterface(this.child.stderr).on('line', this.errors.push);
    // "close" is emitted after the last line
    this.child.once('close', (code, signal) => this.exit.push({ code, signal }));
  }

  static run(databaseUrl: string, ...args: string[]): ListenCommand {
    return new ListenCommand(args, databaseUrl);
  }

  /** Resolves when that number of processes has started to handle stored notifications. */
  static async start(databaseUrl: string, processes: number, ...args: string[]): Promise<ListenCommand> {
    const command = new ListenCommand(args, databaseUrl);
    await command.says('Handling stored notifications', processes);
    return command;
  }

  get pid(): number {
    return this.child.pid ?? 0;
  }

  /** The processes that a supervisor has started so far, in order. */
  get processes(): number[] {
    return this.output.all.flatMap((line) => /Started process (\d+)/.exec(line)?.[1] ?? []).map(Number);
  }

  signal(signal: NodeJS.Signals): void {
    this.child.kill(signal);
  }

  /** Closes the output as `| head` does when it has read enough. */
  closeOutput(): void {
    this.child.stdout.destroy();
  }

  /** Resolves when that number of lines of the output contains this text. */
  async says(text: string, times = 1): Promise<void> {
    const count = () => this.output.all.filter((line) => line.includes(text)).length;
    await Promise.race([this.output.find(() => count() >= times), this.exit.find(() => true)]);
    if (count() < times) throw new Error(`ended without "${text}":\n${this.everything}`);
  }

  exited(): Promise<Exit> {
    return this.exit.find(() => true);
  }

  get everything(): string {
    return [...this.output.all, ...this.errors.all].join('\n');
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const pid of [this.pid, ...this.processes]) kill(pid);
    await this.exited();
  }
}

function kill(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL');
  } catch {
    // the process has already ended
  }
}

export function isRunning(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch {
    return false;
  }
}
