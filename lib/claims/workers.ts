import { AsyncLocalStorage } from 'node:async_hooks';
import type { DataSource } from 'typeorm';
import type { ChannelDefinition } from '../channels/channel.definition.js';
import type { ChannelRegistry } from '../channels/channel.registry.js';
import { settlesWithin } from '../common/deadline.js';
import { PgPubSubError } from '../common/errors.js';
import type { PubSubEvent, ReportEvent } from '../common/events.js';
import type { JsonObject } from '../common/json.js';
import type { BatchOptions, PollOptions } from '../common/options.js';
import { poolSizeOf } from '../postgres/driver.js';
import { explainMissing } from '../storage/missing.js';
import { ChannelWorker } from './channel-worker.js';
import type { DrainCount } from './drain-count.js';
import type { ClaimListener } from './claim-context.js';
import { DueChannelPoller } from './due-channel-poller.js';
import { Semaphore } from './semaphore.js';

export interface WorkersOptions {
  readonly dataSource: DataSource;
  /** The schema of the library's tables; known once the DataSource is connected. */
  readonly schema: () => string;
  readonly channels: Pick<ChannelRegistry, 'acquire'>;
  /** The number of concurrent claims; `undefined`: as many as the pool can spare. */
  readonly concurrency: number | undefined;
  readonly batch: BatchOptions;
  readonly poll: PollOptions;
  readonly deadPeerTimeoutMs: number;
  readonly filter: JsonObject | undefined;
  readonly context: (() => object) | undefined;
  /** The module's context and the running handler's trace; `undefined` unless there are both. */
  readonly contextOfHandler: () => JsonObject | undefined;
  readonly receivesHints: () => boolean;
  readonly signal: AbortSignal;
  readonly report: ReportEvent;
}

/** A channel that has listeners in this process. */
interface Attached {
  readonly channel: ChannelDefinition;
  readonly listeners: ClaimListener[];
}

/** The maximum default of `concurrency`, which is also limited to half of the pool. */
const MAX_DEFAULT_CLAIMS = 4;
/** The time in which a handler may end on its signal before its claim is given up. */
const SIGNAL_GRACE_MS = 100;

/**
 * The workers of an instance: one for each channel that has a listener here. Owned by the module;
 * claims from `start()` to `stop()`.
 */
export class Workers {
  /** The channels by name: two definitions with one name are one channel. */
  private readonly attached = new Map<string, Attached>();
  private workers = new Map<string, ChannelWorker>();
  private poller: DueChannelPoller | undefined;
  private readonly pausedHere = new Set<string>();
  private pausedEverywhere: ReadonlySet<string> = new Set();
  /** Whether all channels are paused here as soon as their workers exist. */
  private pausesAll = false;
  /** Collect the failures of claims by channel, for each running `recover()`. */
  private readonly failures = new Set<Map<string, unknown>>();
  /** Whether workers claim on their own; before, only `recover()` claims. */
  private isClaiming = false;
  /** Runs handlers outside of a request's async context: they must not inherit its transaction. */
  private readonly inRoot = AsyncLocalStorage.snapshot();

  constructor(private readonly options: WorkersOptions) {}

  /**
   * Adds a listener, before `start()`. Throws `INVALID_LISTENER` if its channel has one of this
   * name.
   */
  attach(channel: ChannelDefinition, listener: ClaimListener): void {
    const known = this.attached.get(channel.name) ?? { channel, listeners: [] };
    if (known.listeners.some(({ name }) => name === listener.name))
      throw sameName(channel.name, listener.name);
    known.listeners.push(listener);
    this.attached.set(channel.name, known);
  }

  /** The names of a channel's listeners in this process; `undefined` if it has none. */
  listenersOf(channel: string): readonly string[] | undefined {
    return this.attached.get(channel)?.listeners.map(({ name }) => name);
  }

  get isEmpty(): boolean {
    return this.attached.size === 0;
  }

  /** Creates the workers, which can be paused and can recover from now on. */
  start(): void {
    const { concurrency, report, dataSource } = this.options;
    if (this.isEmpty) return;
    const poolSize = poolSizeOf(dataSource);
    const spare = Math.max(1, Math.min(MAX_DEFAULT_CLAIMS, Math.floor(poolSize / 2)));
    const total = Math.min(concurrency ?? spare, poolSize);
    const slots = new Semaphore(total, () => this.workers.size);
    for (const attached of this.attached.values())
      this.workers.set(attached.channel.name, this.createWorker(attached, slots));
    this.poller = new DueChannelPoller({ dataSource, schema: this.options.schema(), slots });
    if (this.pausesAll) for (const name of this.workers.keys()) this.pausedHere.add(name);
    this.applyPauses();
    report({ type: 'claiming', channels: [...this.workers.keys()], concurrency: total, poolSize });
  }

  /** Starts claiming: LISTEN is active, so hints announce new rows. Claims existing rows now. */
  claim(): void {
    this.isClaiming = true;
    this.wakeAll();
  }

  /** Wakes the worker of a hinted channel, in a later turn: called on pg's stack. */
  hint(channel: string): void {
    const worker = this.workers.get(channel);
    if (worker && this.isClaiming) queueMicrotask(() => this.inRoot(() => worker.wake()));
  }

  /** Polls all channels for due rows, and wakes the workers of those that have some. */
  wakeAll(): void {
    this.pollDue([...this.workers.values()]);
  }

  private pollDue(workers: readonly ChannelWorker[]): void {
    const running = workers.filter(({ isPaused }) => !isPaused);
    if (this.isClaiming) this.inRoot(() => this.poller?.poll(running));
  }

  /** Rejects with the error of a claim that failed meanwhile: its rows are not handled. */
  async recover(channels: readonly ChannelDefinition[] | undefined): Promise<DrainCount> {
    const workers = this.chosen(channels);
    const failures = new Map<string, unknown>();
    this.failures.add(failures);
    try {
      const counts = await Promise.all(workers.map((worker) => this.inRoot(() => worker.drain())));
      const failed = workers.find(({ channel }) => failures.has(channel));
      if (failed !== undefined) throw failures.get(failed.channel);
      return sumOf(counts);
    } finally {
      this.failures.delete(failures);
    }
  }

  /** The counts of this process on these channels since the start. */
  countOf(channels: readonly ChannelDefinition[] | undefined): DrainCount {
    return sumOf(this.chosen(channels).map(({ count }) => count));
  }

  /** The channels with a worker among these, and whether they are paused in this process. */
  statesOf(
    channels: readonly ChannelDefinition[] | undefined,
  ): { readonly channel: string; readonly isPaused: boolean }[] {
    return this.chosen(channels).map(({ channel }) => ({ channel, isPaused: this.pausedHere.has(channel) }));
  }

  get listenersByChannel(): Record<string, readonly string[]> {
    return Object.fromEntries(
      Array.from(this.attached.keys(), (name) => [name, this.listenersOf(name) ?? []]),
    );
  }

  get paused(): { readonly here: readonly string[]; readonly everywhere: readonly string[] } {
    return { here: [...this.pausedHere], everywhere: [...this.pausedEverywhere] };
  }

  /** Pauses channels; before `start()`, as in an application's hook, those of later workers. */
  pause(channels: readonly ChannelDefinition[] | undefined): void {
    for (const name of this.namesOf(channels)) this.pausedHere.add(name);
    if (channels === undefined) this.pausesAll = !this.isStarted;
    this.applyPauses();
  }

  resume(channels: readonly ChannelDefinition[] | undefined): void {
    for (const name of channels === undefined ? this.pausedHere : this.namesOf(channels))
      this.pausedHere.delete(name);
    if (channels === undefined) this.pausesAll = false;
    this.applyPauses();
  }

  /** Checks names only after `start()`: before, it is unknown which channels have a listener. */
  private namesOf(channels: readonly ChannelDefinition[] | undefined): string[] {
    if (this.isStarted) return this.chosen(channels).map(({ channel }) => channel);
    return (channels ?? []).map(({ name }) => name);
  }

  private get isStarted(): boolean {
    return this.poller !== undefined;
  }

  setPausedEverywhere(channels: ReadonlySet<string>): void {
    const before = this.pausedEverywhere;
    if (before.size === channels.size && [...channels].every((channel) => before.has(channel))) return;
    this.pausedEverywhere = channels;
    this.applyPauses();
    this.options.report({ type: 'pauses-changed', channels: [...channels] });
  }

  private applyPauses(): void {
    const workers = [...this.workers.values()];
    const resumed: ChannelWorker[] = [];
    for (const worker of workers) {
      const isPaused = this.pausedHere.has(worker.channel) || this.pausedEverywhere.has(worker.channel);
      if (!isPaused && worker.isPaused) resumed.push(worker);
      if (isPaused) worker.pause();
      else worker.resume();
    }
    this.pollDue(resumed);
  }

  /**
   * Lets running handlers finish; when the signal is aborted, gives up their claims. Resolves with
   * the names of the abandoned claims, for the log.
   */
  async stop(signal: AbortSignal): Promise<readonly string[]> {
    const workers = [...this.workers.values()];
    const stopped = Promise.all([this.poller?.stop(), ...workers.map((worker) => worker.stop())]);
    const aborted = new Promise<void>((resolve) => {
      if (signal.aborted) resolve();
      else signal.addEventListener('abort', () => resolve(), { once: true });
    });
    await Promise.race([stopped, aborted]);
    await settlesWithin(stopped, SIGNAL_GRACE_MS); // some handlers end on their signal
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
        'Call it in a process that runs the listener.',
    );
  }

  private createWorker({ channel, listeners }: Attached, slots: Semaphore): ChannelWorker {
    const { dataSource, batch, deadPeerTimeoutMs, filter, context, contextOfHandler, signal } = this.options;
    const { name, ordered } = channel;
    const known = this.options.channels.acquire(channel);
    return new ChannelWorker({
      context: {
        dataSource,
        schema: this.options.schema(),
        channel: name,
        ordered,
        listeners,
        filter,
        context,
        contextOfHandler,
        decode: (json) => known.decoder.decodeStored(json),
        maxTimeMs: batch.maxTimeMs,
        deadPeerTimeoutMs,
        signal,
        report: (event) => this.note(explained(event)),
        platform: { isKnown: false, hasUserTimeout: false, hasKeepAlives: false },
        restoresSettings: false,
        givenUp: [],
        heldBack: new Map(),
      },
      slots,
      batch,
      pollMs: () => this.pollMs(channel),
      isActive: () => this.isClaiming,
      pollDue: (worker) => this.pollDue([worker]),
    });
  }

  private note(event: PubSubEvent): void {
    if (event.type === 'claim-failed')
      for (const failures of this.failures) failures.set(event.channel, event.error);
    this.options.report(event);
  }

  private pollMs({ wake, pollIntervalMs }: ChannelDefinition): number {
    const { poll, receivesHints } = this.options;
    if (wake === 'poll') return pollIntervalMs ?? poll.deafIntervalMs;
    return receivesHints() ? poll.intervalMs : poll.deafIntervalMs;
  }
}

const sumOf = (counts: readonly Readonly<DrainCount>[]): DrainCount => ({
  handled: counts.reduce((sum, { handled }) => sum + handled, 0),
  failed: counts.reduce((sum, { failed }) => sum + failed, 0),
});

const explained = (event: PubSubEvent): PubSubEvent =>
  event.type === 'claim-failed' ? { ...event, error: explainMissing(event.error) } : event;

const sameName = (channel: string, name: string) =>
  new PgPubSubError(
    'INVALID_LISTENER',
    `expected the listeners of the exactly-once channel "${channel}" to have different names, got two with "${name}". ` +
      'Provide the class in one module, or give one of them another { name }: rows store the names of listeners that have handled them.',
  );
