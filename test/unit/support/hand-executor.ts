import { expect } from 'vitest';
import type { SqlExecutor } from '../../../lib/common/sql-executor.js';
import { broadcastStatement } from '../../../lib/publishing/statements.js';
import { TEXT_SEPARATOR, sendBroadcast, sendBroadcasts } from '../../../lib/publishing/publish.sql.js';
import { StatementQueue } from '../../../lib/publishing/statement-queue.js';
import { defer, settled, type Deferred } from './recording.js';

interface Statement extends Deferred<unknown> {
  readonly sql: string;
  /** The notifications that PostgreSQL would send, as `channel text`. */
  readonly sent: readonly string[];
}

/** An executor that records statements, each of which is answered by hand. */
class HandExecutor implements SqlExecutor {
  readonly statements: Statement[] = [];

  query(sql: string, parameters: unknown[] = []): Promise<unknown> {
    const statement = { ...defer<unknown>(), sql, sent: sentBy(sql, parameters) };
    this.statements.push(statement);
    return statement.promise;
  }

  get sent(): (readonly string[])[] {
    return this.statements.map(({ sent }) => sent);
  }

  /** Answers the newest statement. */
  async succeed(): Promise<void> {
    this.statements.at(-1)?.resolve([]);
    await everythingRuns();
  }

  async fail(error: unknown): Promise<void> {
    this.statements.at(-1)?.reject(error);
    await everythingRuns();
  }
}

function sentBy(sql: string, [channels, texts]: unknown[]): string[] {
  if (sql === sendBroadcast) return [`${String(channels)} ${String(texts)}`];
  expect(sql).toBe(sendBroadcasts);
  const parts = (texts as string).split(TEXT_SEPARATOR).slice(1); // as in its SQL
  expect(parts).toHaveLength((channels as string[]).length);
  return parts.map((text, index) => `${(channels as string[])[index]} ${text}`);
}

/** Waits two turns, because a queue yields one turn between shared statements. */
export async function everythingRuns(): Promise<void> {
  await settled();
  await settled();
}

export function createQueue({ splits = true } = {}) {
  const executor = new HandExecutor();
  const queue = new StatementQueue(executor, splits);
  const results: string[] = [];
  /** Sends one call and records its result. */
  const send = (...texts: string[]) => {
    const messages = texts.map((text) => ({ channel: 'orders', text }));
    void queue.send(broadcastStatement, messages).then(
      () => results.push(`${texts.join()} sent`),
      (error: unknown) => results.push(`${texts.join()} failed: ${(error as Error).message}`),
    );
  };
  return { executor, queue, results, send };
}
