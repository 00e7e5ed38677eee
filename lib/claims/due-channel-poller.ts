import type { DataSource } from 'typeorm';
import { isTimedOut } from '../common/deadline.js';
import { ClaimConnection } from '../postgres/claim-connection.js';
import type { ChannelWorker } from './channel-worker.js';
import { isRejected } from './claim.js';
import { readDueChannels } from './due-channels.sql.js';
import { NextWakeUp } from './next-wake-up.js';
import type { Semaphore } from './semaphore.js';

export interface DueChannelPollerOptions {
  readonly dataSource: DataSource;
  readonly schema: string;
  readonly slots: Semaphore;
}

/** The delay before a poll is repeated after its connection was lost. */
const RETRY_MS = 1_000;

/**
 * Polls many channels for due rows with one statement, and wakes the workers of channels that have
 * some. The first worker claims in any case: a poll needs fewer rights than a claim, and the claim
 * reports what is wrong. Channels requested during a poll are polled together by the next one.
 * Owned by `Workers`; takes a slot and a connection while it polls.
 */
export class DueChannelPoller {
  private readonly pending = new Set<ChannelWorker>();
  private readonly nextPoll = new NextWakeUp(() => this.start());
  private connection: ClaimConnection | undefined;
  private isPolling = false;
  private isStopped = false;

  constructor(private readonly options: DueChannelPollerOptions) {}

  /** Polls the channels of these workers soon, together with all others requested in this turn. */
  poll(workers: Iterable<ChannelWorker>): void {
    for (const worker of workers) this.pending.add(worker);
    this.start();
  }

  /** Cancels a running poll. */
  async stop(): Promise<void> {
    this.isStopped = true;
    this.nextPoll.clear();
    await this.connection?.destroy(new Error('the application closes'));
  }

  private start(): void {
    if (this.isPolling || this.isStopped) return;
    this.isPolling = true;
    setImmediate(() => void this.pollPending());
  }

  /** Polls until no request is left or the connection is lost. Never rejects. */
  private async pollPending(): Promise<void> {
    let hasAnswer = true;
    while (this.pending.size > 0 && !this.isStopped && hasAnswer) hasAnswer = await this.pollOnce();
    this.isPolling = false;
    if (!hasAnswer && !this.isStopped) this.nextPoll.in(RETRY_MS);
  }

  /** Resolves with false if the connection was lost and the poll has to be repeated. */
  private async pollOnce(): Promise<boolean> {
    const [first] = this.pending;
    first?.wake();
    if (this.pending.size === 1) {
      this.pending.clear();
      return true;
    }
    const release = await this.options.slots.acquire(this);
    const workers = [...this.pending]; // includes requests made meanwhile
    this.pending.clear();
    try {
      if (!this.isStopped) await this.pollWorkers(workers);
      return true;
    } catch (error) {
      if (isRejected(error) || isTimedOut(error)) {
        for (const worker of workers) worker.wake(); // their claims report the error, and are retried
        return true;
      }
      for (const worker of workers) this.pending.add(worker);
      return false;
    } finally {
      release();
    }
  }

  private async pollWorkers(workers: readonly ChannelWorker[]): Promise<void> {
    const dueMs = await this.read(workers.map(({ channel }) => channel));
    for (const worker of workers) worker.noteDueTime(dueMs.get(worker.channel));
  }

  /** Resolves with the milliseconds until the first row of each channel that has one. */
  private async read(channels: readonly string[]): Promise<ReadonlyMap<string, number>> {
    const { dataSource, schema } = this.options;
    const connection = await ClaimConnection.open(dataSource);
    this.connection = connection;
    try {
      const text = readDueChannels(schema, channels);
      const results = await connection.roundTrip(text, 'the database to return the due channels');
      const rows = results.flatMap((result) => (result.command === 'SELECT' ? result.rows : []));
      return new Map((rows as [string, string][]).map(([channel, ms]) => [channel, Number(ms)]));
    } catch (error) {
      await connection.destroy(error);
      throw error;
    } finally {
      this.connection = undefined;
      await connection.release();
    }
  }
}
