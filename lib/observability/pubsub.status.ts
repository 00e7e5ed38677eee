import type { DataSource } from 'typeorm';
import { withDeadline } from '../common/deadline.js';
import { messageOf } from '../common/errors.js';
import type { ConnectionState } from '../common/events.js';
import { isServerError } from '../common/server-error.js';
import type { SqlExecutor } from '../common/sql-executor.js';
import type { ConnectionSnapshot } from '../connection/connection-states.js';
import { channelTable, deadLetterTable, notificationTable } from '../storage/storage.sql.js';
import { LiveListeners, type CountedListener, type ListenersOf } from '../store/live-listeners.js';
import { findBacklog, type ChannelBacklog } from './backlog.js';
import {
  evaluateHealth,
  resolveLimits,
  type StatusInput,
  type Health,
  type RunningHandler,
  type StatusOptions,
} from './health.js';
import { findPaused, limitStatements, readServer } from './status.sql.js';

/** A health report of an instance, ready for `JSON.stringify()`. Times are ISO 8601 strings. */
export interface PubSubStatus {
  readonly name: string;
  readonly health: Health;
  /** The reasons why `health` is not `'up'`, a sentence each. */
  readonly reasons: readonly string[];
  readonly connection: {
    /** The state; `'closed'` is normal in a process that only publishes. */
    readonly state: ConnectionState;
    readonly since: string;
    /** The channels that this process listens to. */
    readonly channels: readonly string[];
    /** When the server last sent anything on it, such as a heartbeat or a notification. */
    readonly lastHeardAt: string | null;
    /** When a test notification last arrived. */
    readonly lastTestedAt: string | null;
    /** The reason why the connection is deaf or not open. */
    readonly reason: string | null;
  };
  /**
   * The channels that have stored notifications or dead letters, of all processes. Counts end at
   * 10,000 per channel. Empty without the tables, and for a role that may not read them.
   */
  readonly channels: readonly ChannelBacklog[];
  /** The exactly-once channels that are not claimed because of `pubsub.pause()`. */
  readonly paused: {
    /** The channels paused in this process. */
    readonly here: readonly string[];
    /** The channels paused in all processes; empty without the right to read the tables. */
    readonly everywhere: readonly string[];
  };
  /** The usage of the server's notification queue, from 0 to 1; `null` without an answer. */
  readonly queueUsage: number | null;
}

export interface StatusReaderOptions {
  readonly name: string;
  readonly dataSource: DataSource;
  /** Returns the schema of the library's tables; called once the DataSource is connected. */
  readonly schema: () => string;
  readonly connection: () => ConnectionSnapshot;
  /** The listeners of stored notifications that run in this process. */
  readonly listenersOf?: ListenersOf;
  readonly claims: () => readonly string[];
  readonly pausedHere: () => readonly string[];
  readonly running: () => readonly RunningHandler[];
  /** The time that the database has to answer, in milliseconds. */
  readonly timeoutMs: number;
}

const COUNT_UP_TO = 10_000;

interface ServerRow {
  readonly queue_usage: string;
  readonly is_readable: string;
  readonly has_settings: string;
}

type StoredStatus = Pick<StatusInput, 'channels' | 'unhandled' | 'queueUsage' | 'probeFailure'> & {
  readonly pausedEverywhere: readonly string[];
};

/**
 * The number of queries that may run at once. A hanging query outlives its caller and holds a
 * connection of the pool, so further callers wait for the running ones.
 */
const MAX_PENDING = 2;
/** The share of the timeout after which the server cancels a statement, before the client does. */
const SERVER_SHARE = 0.8;

/** Implements `pubsub.status()`: queries the database in a bounded time. */
export class StatusReader {
  private readonly pending = new Set<Promise<StoredStatus>>();

  constructor(private readonly options: StatusReaderOptions) {}

  /** Rejects only for invalid options. An unreachable database is part of the result. */
  async read(options: StatusOptions = {}): Promise<PubSubStatus> {
    const limits = resolveLimits(options);
    const { pausedEverywhere, ...stored } = await this.readWithinLimit();
    const { channels, queueUsage } = stored;
    const connection = this.options.connection();
    const input = {
      connection,
      ...stored,
      claims: this.options.claims(),
      running: this.options.running(),
    };
    const { health, reasons } = evaluateHealth(input, limits);
    return {
      name: this.options.name,
      health,
      reasons,
      connection: {
        state: connection.state,
        since: connection.since.toISOString(),
        channels: connection.channels,
        lastHeardAt: connection.lastHeardAt?.toISOString() ?? null,
        lastTestedAt: connection.lastTestedAt?.toISOString() ?? null,
        reason: connection.reason,
      },
      channels,
      paused: { here: this.options.pausedHere(), everywhere: pausedEverywhere },
      queueUsage,
    };
  }

  private async readWithinLimit(): Promise<StoredStatus> {
    const { timeoutMs: ms } = this.options;
    const answer = this.pending.size < MAX_PENDING ? this.startReading() : Promise.race(this.pending);
    try {
      return await withDeadline(answer, { ms, what: 'an answer' });
    } catch (error) {
      return withoutAnswer(messageOf(error), isServerError(error));
    }
  }

  private startReading(): Promise<StoredStatus> {
    const answer = this.readStored();
    this.pending.add(answer);
    const forget = () => this.pending.delete(answer);
    answer.then(forget, forget); // late answers, too
    return answer;
  }

  /**
   * Runs in a transaction, for which the server enforces the timeout: a query that waits for a lock
   * must not keep a connection of the pool from the next queries.
   *
   * no deadline: readWithinLimit() limits the answer, and the server limits each statement
   */
  private async readStored(): Promise<StoredStatus> {
    const { dataSource, timeoutMs } = this.options;
    return dataSource.transaction(async (manager) => {
      await manager.query(limitStatements, [String(Math.ceil(timeoutMs * SERVER_SHARE))]);
      return this.readStoredWith(manager);
    });
  }

  /** no deadline: readWithinLimit() limits the answer, and the server limits each statement */
  private async readStoredWith(executor: SqlExecutor): Promise<StoredStatus> {
    const schema = this.options.schema();
    const tables = [notificationTable(schema), deadLetterTable(schema), channelTable(schema)];
    const [server] = (await executor.query(readServer, tables)) as [ServerRow]; // as the statement says
    const channels =
      server.is_readable === 'true' ? await findBacklog(executor, { schema, countUpTo: COUNT_UP_TO }) : [];
    const unhandled = await this.findUnhandled(executor, channels);
    const paused = server.has_settings === 'true' ? await executor.query(findPaused(schema)) : [];
    return {
      channels,
      unhandled,
      queueUsage: Number(server.queue_usage),
      pausedEverywhere: (paused as { channel: string }[]).map(({ channel }) => channel),
      probeFailure: undefined,
    };
  }

  private async findUnhandled(
    executor: SqlExecutor,
    backlog: readonly ChannelBacklog[],
  ): Promise<readonly CountedListener[]> {
    const channels = backlog.filter(({ waiting }) => waiting > 0).map(({ channel }) => channel);
    if (channels.length === 0) return [];
    const schema = this.options.schema();
    const live = await LiveListeners.find(executor, schema);
    const scope = { schema, channels, countUpTo: COUNT_UP_TO };
    return live?.findUnhandled(executor, scope, this.options.listenersOf) ?? [];
  }
}

const withoutAnswer = (reason: string, refusal: boolean): StoredStatus => ({
  channels: [],
  queueUsage: null,
  pausedEverywhere: [],
  probeFailure: { reason, isServerError: refusal },
});
