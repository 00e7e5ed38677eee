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

/** How an instance is doing: a plain object, as `JSON.stringify()` takes it. Times are texts in ISO 8601. */
export interface PubSubStatus {
  /** Of the instance. */
  readonly name: string;
  readonly health: Health;
  /** Why it is not `'up'`, a sentence each. */
  readonly reasons: readonly string[];
  readonly connection: {
    /** `'closed'` in a process that only publishes: then that is as it should be. */
    readonly state: ConnectionState;
    /** When it got into this state. */
    readonly since: string;
    /** What is listened to here. */
    readonly channels: readonly string[];
    /** When the server last said anything on it: a heartbeat, a notification. */
    readonly lastHeardAt: string | null;
    /** When a test notification last came back. */
    readonly lastTestedAt: string | null;
    /** Why it is deaf, or not open. */
    readonly reason: string | null;
  };
  /**
   * What is stored, whichever process handles it; only channels that have something. Counts end at 10,000 per channel, so
   * that asking stays cheap. Empty without the tables, and for a role that may not read them.
   */
  readonly channels: readonly ChannelBacklog[];
  /** The exactly-once channels that are not claimed because of `pubsub.pause()`. */
  readonly paused: {
    /** In this process. */
    readonly here: readonly string[];
    /** In all processes; empty without the tables, and for a role that may not read them. */
    readonly everywhere: readonly string[];
  };
  /** How full the server's queue of notifications is, from 0 to 1; `null` when it did not answer. */
  readonly queueUsage: number | null;
}

export interface StatusReaderOptions {
  readonly name: string;
  readonly dataSource: DataSource;
  /** Where the library's tables are; asked once the DataSource is connected. */
  readonly schema: () => string;
  readonly connection: () => ConnectionSnapshot;
  /** The listeners of stored notifications that run in this process. */
  readonly listenersOf?: ListenersOf;
  /** What is not well about the claims of this instance. */
  readonly claims: () => readonly string[];
  /** The channels that are paused in this process. */
  readonly pausedHere: () => readonly string[];
  /** The handlers of broadcasts that run at the moment. */
  readonly running: () => readonly RunningHandler[];
  /** How long the database may take to answer. */
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

/** A question that hangs outlives who asked it, and holds a connection of the pool: the next ones wait for it, too. */
const MAX_PENDING = 2;
/** The server gives up a statement before the client does, and says why. */
const SERVER_SHARE = 0.8;

/** Answers `pubsub.status()`: asks the database, in a bounded time, and adds what the parts know. */
export class StatusReader {
  /** Questions that have no answer yet. */
  private readonly pending = new Set<Promise<StoredStatus>>();

  constructor(private readonly options: StatusReaderOptions) {}

  /** Rejects for options that cannot be meant only: a database that is away is an answer. */
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
    answer.then(forget, forget); // also when it comes too late
    return answer;
  }

  /**
   * In a transaction, for the limit that the server keeps: a check that waits for a lock must not hold a connection of
   * the pool while the next ones come.
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
