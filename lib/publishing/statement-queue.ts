import { setImmediate as turn } from 'node:timers/promises';
import { isServerError } from '../common/server-error.js';
import type { SqlExecutor } from '../common/sql-executor.js';
import type { Outgoing } from './outgoing.js';
import type { Statement } from './statements.js';

interface Call {
  readonly statement: Statement;
  readonly outgoing: readonly Outgoing[];
  resolve(): void;
  reject(error: unknown): void;
}

/**
 * Sends notifications through one executor: one statement at a time; all calls made meanwhile share
 * the next one. Created with the first call, garbage-collected with its executor.
 */
export class StatementQueue {
  private waiting: Call[] = [];
  private isSending = false;

  /** `splits`: each call is a transaction of its own, so a failing one must not fail the others. */
  constructor(
    private readonly executor: SqlExecutor,
    private readonly splits: boolean,
  ) {}

  /** Resolves when the server has accepted all, sent together and in order. */
  send<O extends Outgoing>(statement: Statement<O>, outgoing: readonly O[]): Promise<void> {
    return new Promise((resolve, reject) => {
      this.waiting.push({ statement, outgoing, resolve, reject });
      if (!this.isSending) void this.drain();
    });
  }

  private async drain(): Promise<void> {
    this.isSending = true;
    while (this.waiting.length > 0) {
      const calls = this.takeCalls();
      await this.sendTogether(calls);
      // Concurrent callers tend to call again: waiting one turn lets them share a statement,
      // instead of the first being sent alone while the others wait for its round trip (1.3 times
      // the rate with 100 callers).
      if (calls.length > 1) await turn();
    }
    this.isSending = false;
  }

  /** Takes the first calls that may share a statement; keeps the order. */
  private takeCalls(): Call[] {
    const [first] = this.waiting;
    const other = this.waiting.findIndex(({ statement }) => statement !== first?.statement);
    const same = other < 0 ? this.waiting : this.waiting.slice(0, other);
    return this.waiting.splice(0, first?.statement.countTogether(same) ?? 0);
  }

  private async sendTogether(calls: readonly Call[]): Promise<void> {
    try {
      const [first] = calls;
      // no deadline: a call of the application, limited by the options of its DataSource
      await first?.statement.execute(
        this.executor,
        calls.flatMap(({ outgoing }) => outgoing),
      );
      for (const call of calls) call.resolve();
    } catch (error) {
      // Splits only what the server rejected: after a lost connection the statement may have
      // succeeded.
      if (this.splits && calls.length > 1 && isServerError(error)) {
        for (const call of calls) await this.sendTogether([call]);
      } else {
        for (const call of calls) call.reject(error);
      }
    }
  }
}
