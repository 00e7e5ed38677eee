import { setTimeout as delay } from 'node:timers/promises';
import { backoffDelayMs } from '../common/backoff.js';
import { renderDelay } from '../common/wording.js';
import { CommandFailure, EXIT } from './command-failure.js';
import type { ListenSettings } from './listening.process.js';
import type { ProcessEnd, SupervisedProcess } from './supervised.process.js';

type Backlog = ListenSettings['backlog'];

export interface SupervisorOptions {
  readonly processes: number;
  /** What each of them does with the backlog. */
  readonly backlog: Backlog;
  /** Is one that fails replaced? Otherwise all end. */
  readonly restartOnFailure: boolean;
  readonly spawn: (backlog: Backlog) => SupervisedProcess;
  readonly log: (level: 'log' | 'warn', line: string) => void;
}

/** The pauses before one that keeps dying is replaced; one that has run for a while begins anew. */
const REPLACE = { minDelayMs: 500, maxDelayMs: 30_000 };
const STABLE_MS = 10_000;

/**
 * Keeps so many processes running: one that dies is replaced. Owned by the command; ends with the last of them, when it
 * was told to finish, when each has drained, or when one has failed and is not to be replaced.
 */
export class Supervisor {
  private readonly running = new Set<SupervisedProcess>();
  private readonly finishing = new AbortController();
  private failed = false;

  constructor(private readonly options: SupervisorOptions) {}

  /** Has a process failed for which there was no other, or that was to finish? */
  get hasFailed(): boolean {
    return this.failed;
  }

  /** Rejects with what kept the first process from getting ready: the others would fail likewise. */
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

  /** All finish what runs. */
  finish(): void {
    this.finishing.abort();
    for (const process of this.running) process.finish();
  }

  /** All end at once. */
  kill(): void {
    for (const process of this.running) process.kill();
  }

  private get isFinishing(): boolean {
    return this.finishing.signal.aborted;
  }

  /** Until it is to be replaced no more. */
  private async superviseSlot(first: SupervisedProcess): Promise<void> {
    const { backlog } = this.options;
    let process = first;
    for (let attempt = 1; ; attempt++) {
      const end = await process.ended;
      if (this.isFinishing) return this.checkFinished(process, end);
      if (this.endsSlot(process, end)) return;
      if (end.ranMs > STABLE_MS) attempt = 1;
      const delayMs = backoffDelayMs(attempt, REPLACE);
      this.options.log('warn', `${describeEnd(process, end)}; replacing it in ${renderDelay(delayMs)}`);
      await delay(delayMs, undefined, { signal: this.finishing.signal }).catch(() => undefined);
      if (this.isFinishing) return;
      process = this.start(process.hasDoneBacklog ? undefined : backlog);
    }
  }

  /** It was to finish what ran: has it? One that was told so by a signal before it could hear any had nothing to finish. */
  private checkFinished(process: SupervisedProcess, end: ProcessEnd): void {
    const { backlog, log } = this.options;
    const wasSignalled = end.signal === 'SIGINT' || end.signal === 'SIGTERM';
    const hasDrained = backlog === 'drain' && end.code === EXIT.failed; // of its handlers the report knows
    if (end.failure === undefined && (end.code === EXIT.good || wasSignalled || hasDrained)) return;
    log('warn', `${describeEnd(process, end)}; it has not finished what ran`);
    this.failed = true;
  }

  /** Does nobody follow it? */
  private endsSlot(process: SupervisedProcess, end: ProcessEnd): boolean {
    const { backlog, restartOnFailure, log } = this.options;
    const isDrained = backlog === 'drain' && process.hasDoneBacklog;
    if (isDrained) return true;
    const isExhausted = backlog === 'drain' && end.failure !== undefined; // it has tried for long enough
    if (!isExhausted && (restartOnFailure || end.code === EXIT.good)) return false;
    log(
      'warn',
      `${describeEnd(process, end)}; ${isExhausted ? 'it is not replaced' : 'the others finish what runs'}`,
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
      `expected the first process to get ready, got its end (${reasonOf(code, signal)}). See what it has written.`,
    failure?.exitCode ?? (code === EXIT.usage ? EXIT.usage : EXIT.failed),
  );

const reasonOf = (code: number | null, signal: NodeJS.Signals | null): string =>
  signal === null ? `exit code ${code}` : `signal ${signal}`;

const describeEnd = ({ pid }: SupervisedProcess, { code, signal, failure }: ProcessEnd): string =>
  `Process ${pid} has ended (${reasonOf(code, signal)})${failure ? `: ${failure.message}` : ''}`;
