import { setTimeout as delay } from 'node:timers/promises';
import { backoffDelayMs } from '../common/backoff.js';
import { renderDelay } from '../common/wording.js';
import { CommandFailure, EXIT } from './command-failure.js';
import type { ListenSettings } from './listening.process.js';
import type { ProcessEnd, SupervisedProcess } from './supervised.process.js';

type Backlog = ListenSettings['backlog'];

export interface SupervisorOptions {
  readonly processes: number;
  readonly backlog: Backlog;
  /** Whether a failed process is restarted; otherwise all processes end. */
  readonly restartOnFailure: boolean;
  readonly spawn: (backlog: Backlog) => SupervisedProcess;
  readonly log: (level: 'log' | 'warn', line: string) => void;
}

/** The pauses before restarts, which double; a process that ran for `STABLE_MS` resets them. */
const REPLACE = { minDelayMs: 500, maxDelayMs: 30_000 };
const STABLE_MS = 10_000;

/**
 * Restarts crashed processes. Owned by the command; ends with the last process: after `finish()`,
 * when all have drained, or when one fails and must not be restarted.
 */
export class Supervisor {
  private readonly running = new Set<SupervisedProcess>();
  private readonly finishing = new AbortController();
  private failed = false;

  constructor(private readonly options: SupervisorOptions) {}

  /** Whether a process failed that was not restarted, or that had to finish. */
  get hasFailed(): boolean {
    return this.failed;
  }

  /** Rejects if the first process does not start, because the others would fail, too. */
  async run(): Promise<void> {
    const { processes, backlog } = this.options;
    // alone, because an application may migrate its database when it starts
    const first = this.start(backlog);
    const end = await Promise.race([first.ready, first.ended]);
    if (end !== undefined && !this.isFinishing) throw notReady(end);
    const others = this.isFinishing ? 0 : processes - 1;
    await Promise.all([
      this.superviseSlot(first),
      ...Array.from({ length: others }, () => this.superviseSlot(this.start(backlog))),
    ]);
  }

  /** Lets all processes finish running handlers. */
  finish(): void {
    this.finishing.abort();
    for (const process of this.running) process.finish();
  }

  kill(): void {
    for (const process of this.running) process.kill();
  }

  private get isFinishing(): boolean {
    return this.finishing.signal.aborted;
  }

  private async superviseSlot(first: SupervisedProcess): Promise<void> {
    const { backlog } = this.options;
    let process = first;
    for (let attempt = 1; ; attempt++) {
      const end = await process.ended;
      if (this.isFinishing) return this.checkFinished(process, end);
      if (this.endsSlot(process, end)) return;
      if (end.ranMs > STABLE_MS) attempt = 1;
      const delayMs = backoffDelayMs(attempt, REPLACE);
      this.options.log('warn', `${describeEnd(process, end)}; restarting it in ${renderDelay(delayMs)}`);
      await delay(delayMs, undefined, { signal: this.finishing.signal }).catch(() => undefined);
      if (this.isFinishing) return;
      process = this.start(process.hasDoneBacklog ? undefined : backlog);
    }
  }

  /** A process that a signal ends before it handles signals had nothing to finish. */
  private checkFinished(process: SupervisedProcess, end: ProcessEnd): void {
    const { backlog, log } = this.options;
    const wasSignalled = end.signal === 'SIGINT' || end.signal === 'SIGTERM';
    const hasDrained = backlog === 'drain' && end.code === EXIT.failed; // the report has its failed handlers
    if (end.failure === undefined && (end.code === EXIT.good || wasSignalled || hasDrained)) return;
    log('warn', `${describeEnd(process, end)}; its running handlers did not finish`);
    this.failed = true;
  }

  /** Whether the process is not restarted. */
  private endsSlot(process: SupervisedProcess, end: ProcessEnd): boolean {
    const { backlog, restartOnFailure, log } = this.options;
    const isDrained = backlog === 'drain' && process.hasDoneBacklog;
    if (isDrained) return true;
    const isExhausted = backlog === 'drain' && end.failure !== undefined; // has retried long enough
    if (!isExhausted && (restartOnFailure || end.code === EXIT.good)) return false;
    log(
      'warn',
      `${describeEnd(process, end)}; ${isExhausted ? 'it is not restarted' : 'the other processes finish running handlers'}`,
    );
    this.failed = true;
    if (!isExhausted) this.finish();
    return true;
  }

  private start(backlog: Backlog): SupervisedProcess {
    const process = this.options.spawn(backlog);
    this.running.add(process);
    void process.ended.then(() => this.running.delete(process));
    this.options.log('log', `Started process ${process.pid}`);
    return process;
  }
}

const notReady = ({ failure, code, signal }: ProcessEnd): CommandFailure =>
  new CommandFailure(
    failure?.message ??
      `the first process ended before it was ready (${reasonOf(code, signal)}). Its output has the cause.`,
    failure?.exitCode ?? (code === EXIT.usage ? EXIT.usage : EXIT.failed),
  );

const reasonOf = (code: number | null, signal: NodeJS.Signals | null): string =>
  signal === null ? `exit code ${code}` : `signal ${signal}`;

const describeEnd = ({ pid }: SupervisedProcess, { code, signal, failure }: ProcessEnd): string =>
  `Process ${pid} has ended (${reasonOf(code, signal)})${failure ? `: ${failure.message}` : ''}`;
