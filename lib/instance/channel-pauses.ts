import { setTimeout as delay } from 'node:timers/promises';
import * as v from 'valibot';
import type { ChannelDefinition } from '../channels/channel.definition.js';
import type { ChannelLike, ChannelRegistry } from '../channels/channel.registry.js';
import type { Workers } from '../claims/workers.js';
import { backoffDelayMs } from '../common/backoff.js';
import { ROUND_TRIP_MS, withDeadline } from '../common/deadline.js';
import { PgPubSubError } from '../common/errors.js';
import type { ReportEvent } from '../common/events.js';
import { group, parseShape } from '../common/parse.js';
import { isServerError } from '../common/server-error.js';
import type { SqlExecutor } from '../common/sql-executor.js';
import { explainMissing } from '../storage/missing.js';
import { findPaused } from '../observability/status.sql.js';
import { endPauses, insertPauses } from './channel-pauses.sql.js';

/** Options of `pubsub.pause()` and `resume()`. */
export interface PauseOptions {
  /**
   * Whether all processes pause, and not this one alone. Stored in the database: it survives restarts, until `resume()` with
   * the same option.
   *
   * @defaultValue `false`
   */
  readonly everywhere?: boolean;
}

const optionsShape = group({ everywhere: v.optional(v.boolean(), false) });

export interface ChannelPausesOptions {
  readonly registry: ChannelRegistry;
  readonly workers: Workers;
  /** The DataSource's manager, as it is at the time of the call. */
  readonly pool: () => SqlExecutor;
  /** Where pauses are read, apart from the pool. Limits its round trips. */
  readonly connection: SqlExecutor;
  /** The schema of the library's tables; known once the DataSource is connected. */
  readonly schema: () => string;
  /** Aborted when the instance stops. */
  readonly signal: AbortSignal;
  readonly report: ReportEvent;
}

/** The pause before the database is asked again. */
const PAUSE = { minDelayMs: 100, maxDelayMs: 5_000 };

/** Pauses and resumes exactly-once channels, in this process or in all. Owned by the instance. */
export class ChannelPauses {
  private isKnown = false;
  private hasFailed = false;
  private learning: Promise<void> | undefined;
  private reading: Promise<void> | undefined;
  private isReadAgain = false;

  constructor(private readonly options: ChannelPausesOptions) {}

  /** Rejects with `INVALID_ARGUMENT`. */
  async pause(channels?: readonly ChannelLike[], options?: PauseOptions): Promise<void> {
    const { registry, workers, schema } = this.options;
    const named = registry.resolveList(channels);
    if (!isEverywhere(options, 'pause()')) return workers.pause(named);
    const stored = registry.definitions.filter(({ delivery }) => delivery === 'exactly-once');
    await this.change(insertPauses(schema()), this.namesOf(named ?? stored));
  }

  /** Rejects with `INVALID_ARGUMENT`. */
  async resume(channels?: readonly ChannelLike[], options?: PauseOptions): Promise<void> {
    const { registry, workers, schema } = this.options;
    const named = registry.resolveList(channels);
    if (!isEverywhere(options, 'resume()')) return workers.resume(named);
    await this.change(endPauses(schema()), named === undefined ? null : this.namesOf(named));
  }

  /**
   * Resolves when it is known which channels are paused everywhere, with the first answer of the database, or when the instance
   * stops. Nothing may be claimed before. Never rejects.
   */
  known(): Promise<void> {
    this.learning ??= this.refresh();
    return this.learning;
  }

  /**
   * Reads which channels are paused everywhere. However often it is called meanwhile, it reads once more: any role can send the
   * hints that call it. Never rejects.
   */
  async read(): Promise<void> {
    if (this.reading !== undefined) this.isReadAgain = true;
    this.reading ??= this.readUntilDone().finally(() => (this.reading = undefined));
    await this.reading;
  }

  private async refresh(): Promise<void> {
    const { signal } = this.options;
    for (let attempt = 1; !this.isKnown && !signal.aborted; attempt++) {
      await this.read();
      if (!this.isKnown)
        await delay(backoffDelayMs(attempt, PAUSE), undefined, { signal }).catch(() => undefined);
    }
  }

  private async readUntilDone(): Promise<void> {
    do {
      this.isReadAgain = false;
      try {
        this.apply(await this.readPaused());
      } catch (error) {
        this.noteFailure(error);
      }
    } while (this.isReadAgain);
  }

  /**
   * Asks on the instance's own connection; where that is not to be had, through the pool.
   *
   * no deadline: withDeadline() limits both questions together
   */
  private async readPaused(): Promise<string[]> {
    const { connection, pool, schema } = this.options;
    const sql = findPaused(schema());
    const asked = connection
      .query(sql)
      .catch((error: unknown) => (isRefused(error) ? Promise.reject(error as Error) : pool().query(sql)));
    const rows = await withDeadline(asked, {
      ms: 2 * ROUND_TRIP_MS,
      what: 'the database to say what is paused',
    });
    return (rows as { channel: string }[]).map(({ channel }) => channel);
  }

  private apply(channels: readonly string[]): void {
    this.isKnown = true;
    this.options.workers.setPausedEverywhere(new Set(channels));
    this.reportClaims('claim-recovered');
  }

  /** A role that may not read pauses works without them; a database that does not answer is asked again. */
  private noteFailure(error: unknown): void {
    const { signal, report } = this.options;
    if (signal.aborted || this.isKnown) return;
    if (!isRefused(error)) return this.reportClaims('claim-failed', error);
    report({ type: 'pauses-unknown', error });
    this.isKnown = true;
  }

  /** Until pauses are known nothing is claimed: that they cannot be read is a failure of the first channel's claims. */
  private reportClaims(type: 'claim-failed' | 'claim-recovered', error?: unknown): void {
    const { workers, report } = this.options;
    const [channel] = Object.keys(workers.listenersByChannel);
    if (channel === undefined || (type === 'claim-recovered' && !this.hasFailed)) return;
    this.hasFailed = type === 'claim-failed';
    report({ type, channel, error });
  }

  private async change(sql: string, names: readonly string[] | null): Promise<void> {
    if (names?.length === 0) throw notStored('none');
    try {
      await this.options.pool().query(sql, [names]); // no deadline: a call of the application, limited by the options of its DataSource
    } catch (error) {
      throw explainMissing(error);
    }
    if (!this.options.workers.isEmpty) await this.read(); // other processes are notified
  }

  /** A name that this application does not define may be a channel of another one: it is taken as it is. */
  private namesOf(channels: readonly ChannelDefinition[]): string[] {
    const { registry } = this.options;
    const broadcast = channels.find(({ name }) => registry.find(name)?.delivery === 'broadcast');
    if (broadcast !== undefined) throw notStored(`the broadcast channel "${broadcast.name}"`);
    return channels.map(({ name }) => name);
  }
}

const INSUFFICIENT_PRIVILEGE = '42501';
const UNDEFINED_TABLE = '42P01';

/** Whether the server says that this role cannot read pauses: it may not, or there is no table. */
const isRefused = (error: unknown): boolean =>
  isServerError(error) && (error.code === INSUFFICIENT_PRIVILEGE || error.code === UNDEFINED_TABLE);

/** Whether the options mean all processes. */
const isEverywhere = (options: PauseOptions = {}, method: string): boolean =>
  parseShape(optionsShape, options, { code: 'INVALID_ARGUMENT', what: method }).everywhere;

const notStored = (got: string) =>
  new PgPubSubError(
    'INVALID_ARGUMENT',
    `expected exactly-once channels to pause or resume everywhere, got ${got}. ` +
      'Name channels whose notifications are stored: broadcasts have no place to wait.',
  );
