import { fork, type ChildProcess } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import type { Command, Report } from '../e2e/apps/worker.js';
import { Mailbox } from './mailbox.js';

const ENTRY = fileURLToPath(new URL('../e2e/apps/.build/worker.js', import.meta.url));

/** A process of the application in `test/e2e/apps/worker.ts`. */
export class Worker implements AsyncDisposable {
  readonly received = new Mailbox<unknown>();
  readonly reports = new Mailbox<Report>();
  readonly exited: Promise<number | null>;
  private readonly child: ChildProcess;

  private constructor(url: string, env: NodeJS.ProcessEnv) {
    this.child = fork(ENTRY, {
      env: { ...process.env, DATABASE_URL: url, ...env },
      stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
    });
    this.exited = new Promise((resolve) => this.child.once('exit', resolve));
    this.child.on('message', (report: Report) => {
      this.reports.push(report);
      if (report.type === 'received') this.received.push(report.payload);
    });
  }

  /** `env` is added to the environment of the test. */
  static async start(url: string, env: NodeJS.ProcessEnv = {}): Promise<Worker> {
    const worker = new Worker(url, env);
    await worker.reported('ready');
    return worker;
  }

  send(command: Command): void {
    this.child.send(command);
  }

  signal(signal: NodeJS.Signals): void {
    this.child.kill(signal);
  }

  reported(type: Report['type']): Promise<Report> {
    return this.reports.find((report) => report.type === type);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.child.kill('SIGKILL');
    await this.exited;
  }
}
