import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { messageOf } from '../common/errors.js';
import type { BacklogWatcher } from './backlog.report.js';
import { EXIT, type ExitCode } from './command-failure.js';

/** The messages of a worker process to its supervisor. */
export type ProcessReport =
  | { readonly type: 'ready' }
  /** Sent before the process ends because of an error. */
  | { readonly type: 'failed'; readonly message: string; readonly exitCode: Exclude<ExitCode, 0> }
  | { readonly type: 'backlog-found'; readonly count: number }
  | { readonly type: 'backlog-advanced'; readonly handled: number; readonly failed: number }
  | { readonly type: 'backlog-done' };

/** The only message of a supervisor: finish running handlers, then end. */
export const FINISH = 'finish';

export interface ProcessEnd {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly ranMs: number;
  /** The failure that the process reported, if any. */
  readonly failure: { readonly message: string; readonly exitCode: Exclude<ExitCode, 0> } | undefined;
}

/** A worker process as its supervisor sees it: receives its messages, and observes its end. */
export class SupervisedProcess {
  /** Resolves when the listeners run. */
  readonly ready: Promise<void>;
  /** Resolves when the process has ended and its messages have been received. */
  readonly ended: Promise<ProcessEnd>;
  private readonly began = performance.now();
  private failure: ProcessEnd['failure'];
  private isDone = false;
  private becomeReady: () => void = () => undefined;

  constructor(
    private readonly child: ChildProcess,
    private readonly watcher: BacklogWatcher,
  ) {
    this.ready = new Promise((resolve) => (this.becomeReady = resolve));
    this.ended = this.end();
    child.on('error', () => undefined); // a failed start rejects in end()
    child.on('message', (report: ProcessReport) => this.receive(report));
  }

  get pid(): number | undefined {
    return this.child.pid;
  }

  /** Whether the process has nothing left to claim of the backlog. */
  get hasDoneBacklog(): boolean {
    return this.isDone;
  }

  finish(): void {
    if (this.child.connected) this.child.send(FINISH, () => undefined); // the process may have ended
  }

  kill(): void {
    this.child.kill('SIGKILL');
  }

  private async end(): Promise<ProcessEnd> {
    try {
      // no deadline: a supervisor lasts as long as its processes do
      const [[code, signal]] = await Promise.all([once(this.child, 'exit'), once(this.child, 'disconnect')]);
      const { failure } = this;
      return {
        code: code as number | null,
        signal: signal as NodeJS.Signals | null,
        ranMs: this.ranMs,
        failure,
      };
    } catch (error) {
      const failure = {
        message: `could not start a process: ${messageOf(error)}`,
        exitCode: EXIT.failed,
      };
      return { code: null, signal: null, ranMs: this.ranMs, failure };
    }
  }

  private get ranMs(): number {
    return performance.now() - this.began;
  }

  private receive(report: ProcessReport): void {
    switch (report.type) {
      case 'ready':
        return this.becomeReady();
      case 'failed':
        this.failure = report;
        return;
      case 'backlog-found':
        return this.watcher.found(report.count);
      case 'backlog-advanced':
        return this.watcher.advanced(report.handled, report.failed);
      case 'backlog-done':
        this.isDone = true;
        return this.watcher.done();
      default:
        return report satisfies never;
    }
  }
}
