import type { SqlExecutor } from '../common/sql-executor.js';
import { processTable } from '../storage/storage.sql.js';
import { canRead, findUnhandledRows, isLive, readLiveListeners } from './live-listeners.sql.js';
import type { Conditions } from './stored-filter.js';

/** The listeners that this application has of a channel; `undefined` for a channel that it does not handle. */
export type ListenersOf = (channel: string) => readonly string[] | undefined;

/** Stored notifications or dead letters of a listener. */
export interface CountedListener {
  readonly channel: string;
  readonly listener: string;
  readonly count: number;
}

/** The stored notifications to look at: the first `countUpTo` rows of each of these channels. */
export interface UnhandledScope {
  readonly schema: string;
  readonly channels: readonly string[];
  readonly countUpTo: number;
}

/**
 * The listeners of all processes that run at the moment, as they report them every 10 s: a value that is read once and
 * soon out of date. Tells which rows no process can handle.
 *
 * no deadline: the caller limits the question, by statement_timeout, by its command or by the options of its DataSource
 */
export class LiveListeners {
  private readonly byChannel = new Map<string, Set<string>>();

  private constructor() {}

  /** `undefined` when no process has reported its listeners, or this role may not read the reports: nothing is known. */
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

  /** Whether a process has any listener of this channel. */
  hasChannel(channel: string): boolean {
    return this.byChannel.has(channel);
  }

  /** The given conditions on a dead letter `n`, and that a process has its listener; `first` is their first parameter. */
  restrict(where: Conditions, first: number): Conditions {
    return this.and(where, first, '');
  }

  /** The given conditions on a dead letter `n`, and that no process has its listener; `first` is their first parameter. */
  exclude(where: Conditions, first: number): Conditions {
    return this.and(where, first, 'not ');
  }

  /** The listeners, at most 20, for which stored notifications wait although neither a process nor `listenersOf` has them. */
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

/** Numbers are texts: the application's type parsers are its own. */
export type CountedRow = Readonly<Record<'channel' | 'listener' | 'count', string>>;

export const countedOf = ({ channel, listener, count }: CountedRow): CountedListener => ({
  channel,
  listener,
  count: Number(count),
});

/** Rows as their statement says: a driver declares them `any`. */
async function rowsOf<Row>(executor: SqlExecutor, sql: string, parameters: unknown[] = []): Promise<Row[]> {
  // no deadline: the caller limits the question, by statement_timeout, by its command or by the options of its DataSource
  return (await executor.query(sql, parameters)) as Row[];
}
