import { AsyncLocalStorage } from 'node:async_hooks';
import { randomUUID } from 'node:crypto';
import { hostname } from 'node:os';
import { settlesWithin } from '../common/deadline.js';
import type { Report } from '../common/facts.js';
import { isServerError } from '../common/server-error.js';
import { VERSION } from '../common/version.js';
import type { OwnConnection } from '../connection/own-connection.js';
import { readPaused, recordProcess, removeProcess } from './process-heartbeat.sql.js';

export interface ProcessHeartbeatOptions {
  readonly connection: OwnConnection;
  /** The schema of the library's tables; known once the DataSource is connected. */
  readonly schema: () => string;
  /** The name of the application, as its connections have it. */
  readonly application: () => string;
  /** The names of the listeners of stored notifications that run here, by channel. */
  readonly listeners: () => Readonly<Record<string, readonly string[]>>;
  /** Receives the channels that are paused everywhere, each time they were read. */
  readonly paused: (channels: ReadonlySet<string>) => void;
  /** Runs after each beat, on the same connection. Never rejects. */
  readonly afterBeat: (connection: OwnConnection) => Promise<void>;
  readonly report: Report;
}

const INTERVAL_MS = 10_000;
/** How long the first and the last beat may take: the application does not wait longer for its start or its end. */
const EDGE_TIMEOUT_MS = 2_000;

/**
 * The row of this process in `pgpubsub_process`, written every 10 s from `start()` to `stop()`, and the settings of channels
 * that all processes share, read with it. Works without the right to write the row. Owned by the instance.
 */
export class ProcessHeartbeat {
  private readonly id = randomUUID();
  private readonly inRoot = AsyncLocalStorage.snapshot();
  private timer: NodeJS.Timeout | undefined;
  private isStarted = false;
  private hasFailed = false;

  constructor(private readonly options: ProcessHeartbeatOptions) {}

  /** Resolves when the settings are known, or after 2 s. Never rejects. */
  async start(): Promise<void> {
    this.isStarted = true;
    await settlesWithin(this.beat(), EDGE_TIMEOUT_MS);
  }

  /** Reads the settings now, because they have changed. Never rejects. */
  async refresh(): Promise<void> {
    if (this.isStarted) await this.beat();
  }

  async stop(): Promise<void> {
    const { connection, schema } = this.options;
    clearTimeout(this.timer);
    if (this.isStarted) {
      this.isStarted = false;
      await settlesWithin(connection.query(removeProcess(schema()), [this.id]), EDGE_TIMEOUT_MS);
    }
    await connection.close();
  }

  private beat(): Promise<void> {
    return this.inRoot(async () => {
      clearTimeout(this.timer);
      try {
        const rows = await this.record();
        if (!this.isStarted) return;
        this.options.paused(new Set(rows.map(({ channel }) => channel ?? '')));
        await this.options.afterBeat(this.options.connection);
      } catch (error) {
        this.noteFailure(error);
      }
      this.scheduleNext();
    });
  }

  /**
   * Returns the channels that are paused everywhere, whether or not the process may write its row.
   *
   * no deadline: OwnConnection limits its round trips
   */
  private async record(): Promise<Record<string, string | null>[]> {
    const { connection, schema, application, listeners } = this.options;
    const values = [this.id, application(), hostname(), VERSION, JSON.stringify(listeners())];
    try {
      const rows = await connection.query(recordProcess(schema()), values);
      this.hasFailed = false;
      return rows;
    } catch (error) {
      if (!isServerError(error)) throw error;
      this.noteFailure(error);
      return connection.query(readPaused(schema()));
    }
  }

  private scheduleNext(): void {
    clearTimeout(this.timer);
    if (!this.isStarted) return;
    this.timer = setTimeout(() => void this.beat(), INTERVAL_MS);
    this.timer.unref();
  }

  private noteFailure(error: unknown): void {
    if (this.isStarted && !this.hasFailed) this.options.report({ type: 'unrecorded', error });
    this.hasFailed = true;
  }
}
