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
  readonly schema: () => string;
  /** The `application_name` of the application's connections. */
  readonly application: () => string;
  /** The names of the listeners of stored notifications in this process, by channel. */
  readonly listeners: () => Readonly<Record<string, readonly string[]>>;
  /** Run with each beat, after the row is written. Never reject; take at most one round trip. */
  readonly duties: readonly (() => Promise<void>)[];
  readonly report: ReportEvent;
}

const INTERVAL_MS = 10_000;
/** The time limit of the last statement: the end of the application does not wait longer. */
const END_TIMEOUT_MS = 2_000;

/**
 * Writes the row of this process in `pgpubsub_process` every 10 s, from `start()` to `stop()`, and
 * runs other periodic duties. Works without the right to write the row. Owned by the instance.
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
    await this.inRoot(() => this.work()).catch(warnOf); // a failure does not stop later beats
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
