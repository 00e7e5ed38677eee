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

/** Options of `pubsub.pause()` and `pubsub.resume()`. */
export interface PauseOptions {
  /**
   * Whether all processes pause, not only this one. The pause is stored in the database and
   * survives restarts, until `resume()` with the same option.
   *
   * @defaultValue `false`
   */
  readonly everywhere?: boolean;
}

const optionsShape = group({ everywhere: v.optional(v.boolean(), false) });

export interface ChannelPausesOptions {
  readonly registry: ChannelRegistry;
  readonly workers: Workers;
  /** The DataSource's manager, read at each call. */
  readonly pool: () => SqlExecutor;
  /** The connection that reads pauses, apart from the pool. Limits its round trips. */
  readonly connection: SqlExecutor;
  readonly schema: () => string;
  /** Aborted when the instance stops. */
  readonly signal: AbortSignal;
  readonly report: ReportEvent;
}

/** The delay before pauses are read again after a failure. */
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
   * Resolves when the first answer of the database has said which channels are paused everywhere,
   * or when the instance stops. Nothing may be claimed before. Never rejects.
   */
  known(): Promise<void> {
    this.learning ??= this.refresh();
    return this.learning;
  }

  /**
   * Reads which channels are paused everywhere. All calls made during a read share one further
   * read, because any role can send the hints that call it. Never rejects.
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
   * Reads the pauses on the instance's own connection, or through the pool if that connection
   * fails.
   *
   * no deadline: withDeadline() limits both queries together
   */
  private async readPaused(): Promise<string[]> {
    const { connection, pool, schema } = this.options;
    const sql = findPaused(schema());
    const query = connection
      .query(sql)
      .catch((error: unknown) => (isDenied(error) ? Promise.reject(error as Error) : pool().query(sql)));
    const rows = await withDeadline(query, {
      ms: 2 * ROUND_TRIP_MS,
      what: 'the database to return the paused channels',
    });
    return (rows as { channel: string }[]).map(({ channel }) => channel);
  }

  private apply(channels: readonly string[]): void {
    this.isKnown = true;
    this.options.workers.setPausedEverywhere(new Set(channels));
    this.reportClaims('claim-recovered');
  }

  /** Continues without pauses if the role may not read them; other failures are retried. */
  private noteFailure(error: unknown): void {
    const { signal, report } = this.options;
    if (signal.aborted || this.isKnown) return;
    if (!isDenied(error)) return this.reportClaims('claim-failed', error);
    report({ type: 'pauses-unknown', error });
    this.isKnown = true;
  }

  /** Reports a failed claim of the first channel: nothing is claimed until pauses are known. */
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
    if (!this.options.workers.isEmpty) await this.read();
  }

  /** Accepts names that this application does not define: another one may have the channel. */
  private namesOf(channels: readonly ChannelDefinition[]): string[] {
    const { registry } = this.options;
    const broadcast = channels.find(({ name }) => registry.find(name)?.delivery === 'broadcast');
    if (broadcast !== undefined) throw notStored(`the broadcast channel "${broadcast.name}"`);
    return channels.map(({ name }) => name);
  }
}

const INSUFFICIENT_PRIVILEGE = '42501';
const UNDEFINED_TABLE = '42P01';

/** Whether the server answered that this role may not read pauses, or that there is no table. */
const isDenied = (error: unknown): boolean =>
  isServerError(error) && (error.code === INSUFFICIENT_PRIVILEGE || error.code === UNDEFINED_TABLE);

const isEverywhere = (options: PauseOptions = {}, method: string): boolean =>
  parseShape(optionsShape, options, { code: 'INVALID_ARGUMENT', what: method }).everywhere;

const notStored = (got: string) =>
  new PgPubSubError(
    'INVALID_ARGUMENT',
    `expected exactly-once channels to pause or resume everywhere, got ${got}. ` +
      'Name exactly-once channels: broadcasts are not stored, so they cannot wait.',
  );
