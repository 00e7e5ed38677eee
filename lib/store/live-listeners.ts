import type { SqlExecutor } from '../common/sql-executor.js';
import { processTable } from '../storage/storage.sql.js';
import { canRead, findUnhandledRows, isLive, readLiveListeners } from './live-listeners.sql.js';
import type { Conditions } from './stored-filter.js';

/** Returns this application's listeners of a channel; `undefined` if it does not handle it. */
export type ListenersOf = (channel: string) => readonly string[] | undefined;

/** The number of stored notifications or dead letters of a listener. */
export interface CountedListener {
  readonly channel: string;
  readonly listener: string;
  readonly count: number;
}

/** The stored notifications to count: the first `countUpTo` rows of each channel. */
export interface UnhandledScope {
  readonly schema: string;
  readonly channels: readonly string[];
  readonly countUpTo: number;
}

/**
 * The listeners of all running processes, as they report them every 10 s. Read once, and soon out
 * of date. Shows which rows no process can handle.
 *
 * no deadline: the caller limits the query, by statement_timeout, by its command or by the options
 * of its DataSource
 */
export class LiveListeners {
  private readonly byChannel = new Map<string, Set<string>>();

  private constructor() {}

  /**
   * Resolves with `undefined` if no process has reported, or if this role may not read the reports.
   */
  static async find(executor: SqlExecutor, schema: string): Promise<LiveListeners | undefined> {
    const [privilege] = await rowsOf<{ can_read: string }>(executor, canRead, [processTable(schema)]);
    if (privilege?.can_read !== 'true') return undefined;
    const rows = await rowsOf<{ channel: string | null; listener: string | null }>(
      executor,
      readLiveListeners(schema),
    );
    if (rows.length === 0) return undefined;
    const live = new LiveListeners();
    for (const { channel, listener } of rows)
      if (channel !== null && listener !== null) live.add(channel, listener);
    return live;
  }

  add(channel: string, listener: string): void {
    const known = this.byChannel.get(channel);
    if (known === undefined) this.byChannel.set(channel, new Set([listener]));
    else known.add(listener);
  }

  hasChannel(channel: string): boolean {
    return this.byChannel.has(channel);
  }

  /** Adds, from parameter `first` on, that a process has the listener of the dead letter `n`. */
  restrict(where: Conditions, first: number): Conditions {
    return this.and(where, first, '');
  }

  /** Adds, from parameter `first` on, that no process has the listener of the dead letter `n`. */
  exclude(where: Conditions, first: number): Conditions {
    return this.and(where, first, 'not ');
  }

  /**
   * Finds up to 20 listeners that have pending notifications, but are unknown to all processes and
   * to `listenersOf`.
   */
  async findUnhandled(
    executor: SqlExecutor,
    { schema, channels, countUpTo }: UnhandledScope,
    listenersOf?: ListenersOf,
  ): Promise<CountedListener[]> {
    if (channels.length === 0) return [];
    for (const channel of channels)
      for (const listener of listenersOf?.(channel) ?? []) this.add(channel, listener);
    const sql = findUnhandledRows(schema);
    const rows = await rowsOf<CountedRow>(executor, sql, [channels, this.json, countUpTo]);
    return rows.map(countedOf);
  }

  private and({ sql, parameters }: Conditions, first: number, not: '' | 'not '): Conditions {
    const live = isLive(first + parameters.length, 'n.channel', 'n.listener');
    return { sql: `${sql} and ${not}${live}`, parameters: [...parameters, this.json] };
  }

  /** `{"channel": ["listener"]}` */
  private get json(): string {
    return JSON.stringify(
      Object.fromEntries(Array.from(this.byChannel, ([channel, names]) => [channel, [...names]])),
    );
  }
}

/** Numbers are texts, because the application may have replaced pg's type parsers. */
export type CountedRow = Readonly<Record<'channel' | 'listener' | 'count', string>>;

export const countedOf = ({ channel, listener, count }: CountedRow): CountedListener => ({
  channel,
  listener,
  count: Number(count),
});

/** Casts rows to the columns of their statement: drivers declare them `any`. */
async function rowsOf<Row>(executor: SqlExecutor, sql: string, parameters: unknown[] = []): Promise<Row[]> {
  // no deadline: the caller limits the query, by statement_timeout, by its command or by the
  // options of its DataSource
  return (await executor.query(sql, parameters)) as Row[];
}
