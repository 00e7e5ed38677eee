import { setImmediate as turn } from 'node:timers/promises';
import { TEXT_SEPARATOR, sendBroadcast, sendBroadcasts } from './publish.sql.js';
import { isRefusal } from '../common/refusal.js';
import type { SqlExecutor } from '../common/sql-executor.js';

/** One broadcast as it goes to the server. */
export interface WireMessage {
  readonly channel: string;
  readonly text: string;
}

interface Call {
  readonly messages: readonly WireMessage[];
  resolve(): void;
  reject(error: unknown): void;
}

/** A statement takes at most so many broadcasts of several calls: PostgreSQL 12 and older compare each with each. */
const MAX_STATEMENT_MESSAGES = 1_000;

/**
 * The way of broadcasts through one executor: one statement on the wire at a time, and all calls made meanwhile
 * share the next one. Created with the first call, forgotten with its executor.
 */
export class StatementQueue {
  private waiting: Call[] = [];
  private isSending = false;

  /** `splits`: each call is a transaction of its own, so that one which fails must not take the others along. */
  constructor(
    private readonly executor: SqlExecutor,
    private readonly splits: boolean,
  ) {}

  /** Resolves when the server has taken the messages; they are sent together and in order. */
  send(messages: readonly WireMessage[]): Promise<void> {
    return new Promise((resolve, reject) => {
      this.waiting.push({ messages, resolve, reject });
      if (!this.isSending) void this.drain();
    });
  }

  private async drain(): Promise<void> {
    this.isSending = true;
    while (this.waiting.length > 0) {
      const calls = this.takeCalls();
      await this.sendTogether(calls);
      // Callers that come in numbers come again: in this turn they can share a statement, instead of the first of
      // them being sent alone while the others wait for its round trip (1.3 times the rate with 100 callers).
      if (calls.length > 1) await turn();
    }
    this.isSending = false;
  }

  /**
   * As many calls as may share a statement. PostgreSQL delivers equal notifications of one transaction once, and
   * these calls are transactions of their own: from the first repetition on they wait for the next statement.
   */
  private takeCalls(): Call[] {
    const seen = new Set<string>();
    let taken = 0;
    for (const { messages } of this.waiting) {
      const keys = messages.map(({ channel, text }) => `${channel}\0${text}`);
      if (
        taken > 0 &&
        (seen.size + keys.length > MAX_STATEMENT_MESSAGES || keys.some((key) => seen.has(key)))
      )
        break;
      for (const key of keys) seen.add(key);
      taken++;
    }
    return this.waiting.splice(0, taken);
  }

  private async sendTogether(calls: readonly Call[]): Promise<void> {
    try {
      await this.execute(calls.flatMap(({ messages }) => messages));
      for (const call of calls) call.resolve();
    } catch (error) {
      // Only what the server refused is certainly not sent; after a lost connection nobody knows.
      if (this.splits && calls.length > 1 && isRefusal(error)) {
        for (const call of calls) await this.sendTogether([call]);
      } else {
        for (const call of calls) call.reject(error);
      }
    }
  }

  private async execute(messages: readonly WireMessage[]): Promise<void> {
    const [first] = messages;
    if (first !== undefined && messages.length === 1) {
      await this.executor.query(sendBroadcast, [first.channel, first.text]);
      return;
    }
    const channels = messages.map(({ channel }) => channel);
    const texts = messages.map(({ text }) => TEXT_SEPARATOR + text).join('');
    await this.executor.query(sendBroadcasts, [channels, texts]);
  }
}
