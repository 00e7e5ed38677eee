import type { SqlExecutor } from '../common/sql-executor.js';

/** What one call of `notify()` or `notifyMany()` sends. */
export interface Message {
  readonly channel: string;
}

/**
 * How messages of one kind become SQL. Calls of the same kind that are made at the same time share a statement; how
 * many, is for the kind to say.
 */
export interface Statement<M extends Message = Message> {
  /** How many of these calls, from the first on, may be sent together; at least 1. */
  countTogether(calls: readonly { readonly messages: readonly M[] }[]): number;
  execute(executor: SqlExecutor, messages: readonly M[]): Promise<void>;
}

/** A statement takes at most so many messages of several calls. */
export const MAX_STATEMENT_MESSAGES = 1_000;
