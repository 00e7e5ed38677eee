import { AsyncLocalStorage } from 'node:async_hooks';
import { setTimeout as delay } from 'node:timers/promises';
import type { DataSource } from 'typeorm';
import type { ChannelDefinition } from '../channels/channel.definition.js';
import type { TextDecoder } from '../channels/entity-source.js';
import { PgPubSubError } from '../common/errors.js';
import type { Report } from '../common/facts.js';
import type { JsonObject } from '../common/json.js';
import type { BatchOptions, PollOptions } from '../common/options.js';
import { ChannelWorker } from './channel-worker.js';
import type { DrainCount } from './claim-handling.js';
import { ClaimSlots } from './claim-slots.js';
import type { StoredListener } from './stored-listener.js';
import { createStoredDecoder } from './stored-payload.js';

export interface NotificationStoreOptions {
  readonly dataSource: DataSource;
  /** Where its tables are; known once the DataSource is connected. */
  readonly schema: () => string;
  readonly decoderOf: (channel: string) => TextDecoder | undefined;
  /** How many claims at once; `undefined`: as many as the pool can spare. */
  readonly concurrency: number | undefined;
  readonly batch: BatchOptions;
  readonly poll: PollOptions;
  readonly filter: JsonObject | undefined;
  readonly context: (() => object) | undefined;
  /** The module's context and the trace of the handler that runs; nothing where there is not both. */
  readonly contextOfHandler: () => JsonObject | undefined;
  /** Do hints arrive at the moment? */
  readonly hearsHints: () => boolean;
  readonly signal: AbortSignal;
  readonly report: Report;
}

/** Without being told otherwise, claims take at most so many connections, and at most half of the pool. */
const MAX_DEFAULT_CLAIMS = 4;
/** How long a handler may take to end on its signal before its claim is given up. */
const SIGNAL_GRACE_MS = 100;

const DEFAULT_POOL_SIZE = 10; // of pg-pool

/**
 * Handles the stored notifications of an instance: one worker per channel that has a listener here. Owned by the
 * module; claims from `start()` to `stop()`.
 */
export class NotificationStore {
  private readonly listeners = new Map<ChannelDefinition, StoredListener[]>();
  private workers = new Map<string, ChannelWorker>();
  /** Never the context of a request: handlers must not inherit somebody's transaction or user. */
  private readonly inRoot = AsyncLocalStorage.snapshot();

  constructor(private readonly options: NotificationStoreOptions) {}

  /** Before `start()`. Throws `INVALID_LISTENER` for a name that the channel has already: rows remember names. */
  attach(channel: ChannelDefinition, listener: StoredListener): void {
    const known = this.listeners.get(channel) ?? [];
    if (known.some(({ name }) => name === listener.name)) throw sameName(channel.name, listener.name);
    this.listeners.set(channel, [...known, listener]);
  }

  get isEmpty(): boolean {
    return this.listeners.size === 0;
  }

  /** LISTEN is in force: what comes from now on is hinted at, what is there is claimed now. */
  start(): void {
    const { concurrency, report } = this.options;
    if (this.isEmpty) return;
    const poolSize = poolSizeOf(this.options.dataSource);
    const spare = Math.max(1, Math.min(MAX_DEFAULT_CLAIMS, Math.floor(poolSize / 2)));
    const total = Math.min(concurrency ?? spare, poolSize);
    const slots = new ClaimSlots(total, () => this.workers.size);
    for (const [channel, listeners] of this.listeners)
      this.workers.set(channel.name, this.createWorker(channel, listeners, slots));
    report({ type: 'claiming', channels: [...this.workers.keys()], concurrency: total, poolSize });
    this.wakeAll();
  }

  /** A hint has arrived. Called on pg's stack: starts nothing here and now. */
  hint(channel: string): void {
    const worker = this.workers.get(channel);
    if (worker) queueMicrotask(() => this.inRoot(() => worker.wake()));
  }

  wakeAll(): void {
    this.inRoot(() => this.workers.forEach((worker) => worker.wake()));
  }

  async recover(channels: readonly ChannelDefinition[] | undefined): Promise<DrainCount> {
    const counts = await Promise.all(
      this.chosen(channels).map((worker) => this.inRoot(() => worker.drain())),
    );
    return sumOf(counts);
  }

  /** What this process has done on these channels since the start. */
  countOf(channels: readonly ChannelDefinition[] | undefined): DrainCount {
    return sumOf(this.chosen(channels).map(({ count }) => count));
  }

  /** Those of these channels that are handled here, and whether they are paused. */
  statesOf(
    channels: readonly ChannelDefinition[] | undefined,
  ): { readonly channel: string; readonly isPaused: boolean }[] {
    return this.chosen(channels).map(({ channel, isPaused }) => ({ channel, isPaused }));
  }

  pause(channels: readonly ChannelDefinition[] | undefined): void {
    for (const worker of this.chosen(channels)) worker.pause();
  }

  resume(channels: readonly ChannelDefinition[] | undefined): void {
    this.inRoot(() => this.chosen(channels).forEach((worker) => worker.resume()));
  }

  /** Lets running handlers finish; when the signal is aborted, gives their claims up. Returns who was left behind. */
  async stop(signal: AbortSignal): Promise<readonly string[]> {
    const workers = [...this.workers.values()];
    const stopped = Promise.all(workers.map((worker) => worker.stop()));
    const aborted = new Promise<void>((resolve) => {
      if (signal.aborted) resolve();
      else signal.addEventListener('abort', () => resolve(), { once: true });
    });
    await Promise.race([stopped, aborted]);
    await Promise.race([stopped, delay(SIGNAL_GRACE_MS, undefined, { ref: false })]); // those that end on their signal
    const running = workers.filter(({ isRunning }) => isRunning);
    await Promise.all(running.map((worker) => worker.abandon()));
    return running.map(({ channel }) => `the claims of channel "${channel}"`);
  }

  private chosen(channels: readonly ChannelDefinition[] | undefined): ChannelWorker[] {
    if (channels === undefined) return [...this.workers.values()];
    return channels.map(({ name }) => this.workers.get(name) ?? this.throwUnknown(name));
  }

  private throwUnknown(name: string): never {
    const known = [...this.workers.keys()].join(', ') || 'there are none';
    throw new PgPubSubError(
      'INVALID_ARGUMENT',
      `expected an exactly-once channel that has a listener in this process (${known}), got "${name}". ` +
        'Call it where the listener runs.',
    );
  }

  private createWorker(
    channel: ChannelDefinition,
    listeners: readonly StoredListener[],
    slots: ClaimSlots,
  ): ChannelWorker {
    const { dataSource, batch, filter, context, contextOfHandler, signal, report, decoderOf } = this.options;
    const schema = this.options.schema();
    const worker: ChannelWorker = new ChannelWorker({
      host: {
        dataSource,
        schema,
        channel: channel.name,
        listeners,
        decode: createStoredDecoder(channel, decoderOf(channel.name)),
        contextOfHandler,
        maxTimeMs: batch.maxTimeMs,
        isEnding: () => worker.isEnding,
        signal,
      },
      scope: { schema, channel: channel.name, ordered: channel.ordered, listeners, filter, context },
      slots,
      batch,
      pollMs: () => this.pollMs(channel),
      report,
    });
    return worker;
  }

  private pollMs({ wake, pollIntervalMs }: ChannelDefinition): number {
    const { poll, hearsHints } = this.options;
    if (wake === 'poll') return pollIntervalMs ?? poll.deafIntervalMs;
    return hearsHints() ? poll.intervalMs : poll.deafIntervalMs;
  }
}

const sumOf = (counts: readonly Readonly<DrainCount>[]): DrainCount => ({
  handled: counts.reduce((sum, { handled }) => sum + handled, 0),
  failed: counts.reduce((sum, { failed }) => sum + failed, 0),
});

function poolSizeOf(dataSource: DataSource): number {
  const { master } = dataSource.driver as { master?: { options?: { max?: number } } };
  return master?.options?.max ?? DEFAULT_POOL_SIZE;
}

const sameName = (channel: string, name: string) =>
  new PgPubSubError(
    'INVALID_LISTENER',
    `expected the listeners of the exactly-once channel "${channel}" to have names of their own, got two with "${name}". ` +
      'Provide the class in one module, or give one of them another { name }: what is stored remembers who has handled it.',
  );
