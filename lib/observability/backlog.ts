import type { SqlExecutor } from '../common/sql-executor.js';
import { readBacklog } from './backlog.sql.js';

/** What is stored of one channel. */
export interface ChannelBacklog {
  readonly channel: string;
  /** How many wait for a listener. */
  readonly waiting: number;
  /** Of these: may be claimed now. */
  readonly due: number;
  /** Of these: have been tried, and failed. */
  readonly retrying: number;
  /** How long ago the oldest of these was stored, in whole milliseconds; `null` when nothing waits. */
  readonly oldestAgeMs: number | null;
  /** For how long one has been due that nobody has claimed, in whole milliseconds; 0 when none is. */
  readonly overdueMs: number;
  /** How many dead letters there are. */
  readonly dead: number;
}

export interface BacklogScope {
  /** Where the library's tables are. */
  readonly schema: string;
  /** Rows of a channel, and dead letters of all, are counted up to this number; `null`: all of them. */
  readonly countUpTo: number | null;
  /** A condition on a row `n`, whose parameters begin at $2. Without it all rows. */
  readonly condition?: { readonly sql: string; readonly parameters: readonly unknown[] };
}

/** The channels that have something stored, or dead letters, in the order of their names. */
export async function findBacklog(
  executor: SqlExecutor,
  { schema, countUpTo, condition }: BacklogScope,
): Promise<ChannelBacklog[]> {
  const sql = readBacklog(schema, condition?.sql ?? 'true');
  // no deadline: the caller limits the question, by statement_timeout or by its command
  const rows: unknown = await executor.query(sql, [countUpTo, ...(condition?.parameters ?? [])]);
  return (rows as Row[]).map(backlogOf); // as the statement says
}

/** As texts: the application's type parsers are its own. */
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
    // it may have been sent for a time in the past, and nobody could claim it before it was stored
    overdueMs: Math.min(wholeOf(row.overdue_ms ?? '0'), oldestAgeMs ?? 0),
    dead: Number(row.dead),
  };
}

const wholeOf = (ms: string): number => Math.max(0, Math.round(Number(ms)));
