import { AsyncLocalStorage } from 'node:async_hooks';
import { randomUUID } from 'node:crypto';
import { hostname } from 'node:os';
import { settlesWithin } from '../common/deadline.js';
import { warnOf } from '../common/errors.js';
import type { ReportEvent } from '../common/events.js';
import type { SqlExecutor } from '../common/sql-executor.js';
import { VERSION } from '../common/version.js';
import { recordProcess, removeProcess } from './process-heartbeat.sql.js';

export interface ProcessHeartbeatOptions {
  readonly connection: SqlExecutor;
  /** The schema of the library's tables; known once the DataSource is connected. */
  readonly schema: () => string;
  /** The name of the application, as its connections have it. */
  readonly application: () => string;
  /** The names of the listeners of stored notifications that run here, by channel. */
  readonly listeners: () => Readonly<Record<string, readonly string[]>>;
  /** Runs with each beat, after the row was written. Never rejects, and takes one round trip at most. */
  readonly duties: readonly (() => Promise<void>)[];
  readonly report: ReportEvent;
}

const INTERVAL_MS = 10_000;
/** How long the last beat may take: the end of the application does not wait longer. */
const END_TIMEOUT_MS = 2_000;

/**
 * The row of this process in `pgpubsub_process`, written every 10 s from `start()` to `stop()`, and what else is due in that
 * rhythm. Works without the right to write the row. Owned by the instance.
 */
export class ProcessHeartbeat {
  private readonly id = randomUUID();
  private readonly inRoot = AsyncLocalStorage.snapshot();
  private timer: NodeJS.Timeout | undefined;
  private isStarted = false;
  private hasFailed = false;

  constructor(private readonly options: ProcessHeartbeatOptions) {}

  start(): void {
    this.isStarted = true;
    void this.beat();
  }

  async stop(): Promise<void> {
    const { connection, schema } = this.options;
    clearTimeout(this.timer);
    if (!this.isStarted) return;
    this.isStarted = false;
    await settlesWithin(connection.query(removeProcess(schema()), [this.id]), END_TIMEOUT_MS);
  }

  private async beat(): Promise<void> {
    await this.inRoot(() => this.work()).catch(warnOf); // the next beat comes whatever this one met
    if (!this.isStarted) return;
    this.timer = setTimeout(() => void this.beat(), INTERVAL_MS);
    this.timer.unref();
  }

  private async work(): Promise<void> {
    await this.record();
    for (const duty of this.options.duties) if (this.isStarted) await duty();
  }

  /** no deadline: the connection limits its round trips */
  private async record(): Promise<void> {
    const { connection, schema, application, listeners, report } = this.options;
    try {
      const values = [this.id, application(), hostname(), VERSION, JSON.stringify(listeners())];
      await connection.query(recordProcess(schema()), values);
      this.hasFailed = false;
    } catch (error) {
      if (this.isStarted && !this.hasFailed) report({ type: 'unrecorded', error });
      this.hasFailed = true;
    }
  }
}
