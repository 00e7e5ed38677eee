import type { SqlExecutor } from '../common/sql-executor.js';
import { readBacklog } from './backlog.sql.js';

/** The numbers and ages of the stored notifications of one channel. */
export interface ChannelBacklog {
  readonly channel: string;
  /** The number of stored notifications that wait for a listener. */
  readonly waiting: number;
  /** The number of waiting notifications that can be claimed now. */
  readonly due: number;
  /** The number of waiting notifications that have failed before. */
  readonly retrying: number;
  /** The age of the oldest waiting notification, in whole milliseconds; `null` when none waits. */
  readonly oldestAgeMs: number | null;
  /** The longest time that one has been due unclaimed, in whole milliseconds; 0 if none is due. */
  readonly overdueMs: number;
  readonly dead: number;
}

export interface BacklogScope {
  readonly schema: string;
  /** The limit for counting rows of a channel, and dead letters in total; `null`: none. */
  readonly countUpTo: number | null;
  /** A condition on a row `n`, with parameters from $2 on; without it all rows count. */
  readonly condition?: { readonly sql: string; readonly parameters: readonly unknown[] };
}

/** Returns the channels that have stored notifications or dead letters, sorted by name. */
export async function findBacklog(
  executor: SqlExecutor,
  { schema, countUpTo, condition }: BacklogScope,
): Promise<ChannelBacklog[]> {
  const sql = readBacklog(schema, condition?.sql ?? 'true');
  // no deadline: the caller limits the query, by statement_timeout or by its command
  const rows: unknown = await executor.query(sql, [countUpTo, ...(condition?.parameters ?? [])]);
  return (rows as Row[]).map(backlogOf); // as the statement says
}

/** Columns are texts, because the application may have replaced pg's type parsers. */
type Row = Readonly<Record<'channel' | 'waiting' | 'due' | 'retrying' | 'dead', string>> &
  Readonly<Record<'oldest_age_ms' | 'overdue_ms', string | null>>;

function backlogOf(row: Row): ChannelBacklog {
  const oldestAgeMs = row.oldest_age_ms === null ? null : wholeOf(row.oldest_age_ms);
  return {
    channel: row.channel,
    waiting: Number(row.waiting),
    due: Number(row.due),
    retrying: Number(row.retrying),
    oldestAgeMs,
    // a row sent for a time in the past could not be claimed before it was stored
    overdueMs: Math.min(wholeOf(row.overdue_ms ?? '0'), oldestAgeMs ?? 0),
    dead: Number(row.dead),
  };
}

const wholeOf = (ms: string): number => Math.max(0, Math.round(Number(ms)));
