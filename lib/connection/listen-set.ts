import { AsyncLocalStorage } from 'node:async_hooks';
import { settlesWithin } from '../common/deadline.js';
import type { ReportEvent } from '../common/events.js';
import { isServerError } from '../common/server-error.js';
import type { ListenClient } from './listen-client.js';

/** The longest wait for an active LISTEN: many round trips to a server that answers. */
export const ACTIVE_TIMEOUT_MS = 100;
/**
 * The largest number of names in one statement. The server compares each new name with all names of
 * the session: 500 names after 30,000 others take about 0.15 s, 30,000 names at once longer than
 * the time limit of a statement.
 */
export const MAX_NAMES = 500;
/** The number of channels at which a warning is reported. */
export const MANY_CHANNELS = 5_000;

/**
 * Keeps the LISTENs of the session equal to the wanted channels: one round trip for all changes
 * known by then, or several with a portion each. Channels that come first are active when the
 * session opens; the rest follows. Owned by `ListenConnection`.
 */
export class ListenSet {
  private readonly wanted = new Set<string>();
  /** The wanted channels that come first: those of listeners and of hints. */
  private readonly first = new Set<string>();
  private active = new Set<string>();
  private client: ListenClient | undefined;
  /** The running round trip, including the turn that gathers its changes. */
  private syncing: Promise<void> | undefined;
  private opening: Promise<void> | undefined;
  private hasMany = false;
  private readonly inRoot = AsyncLocalStorage.snapshot();

  /** `permanent` is always listened to, and not counted among the channels. */
  constructor(
    private readonly permanent: string,
    private readonly report: ReportEvent,
  ) {}

  /** The wanted channels, in the order of their LISTENs. */
  get channels(): string[] {
    return [...new Set([...this.first, ...this.wanted])];
  }

  /** The wanted channels with an active LISTEN. */
  get activeChannels(): string[] {
    return this.channels.filter((channel) => this.active.has(channel));
  }

  get missingChannels(): string[] {
    return this.channels.filter((channel) => !this.active.has(channel));
  }

  get isEmpty(): boolean {
    return this.wanted.size === 0;
  }

  add(channel: string, { first = false } = {}): void {
    this.wanted.add(channel);
    if (first) this.first.add(channel);
    this.warnOfMany();
    this.sync();
  }

  delete(channel: string): void {
    this.wanted.delete(channel);
    this.first.delete(channel);
    if (this.wanted.size < MANY_CHANNELS) this.hasMany = false;
    this.sync();
  }

  /**
   * Resolves when the channels that come first are active in `client`; the rest is pending until
   * its turn. Rejects when the server does.
   */
  async attach(client: ListenClient): Promise<void> {
    const first = [this.permanent, ...this.first].length;
    const portions = Math.ceil(first / MAX_NAMES); // the last one has room for others
    const channels = [this.permanent, ...this.channels].slice(0, portions * MAX_NAMES);
    for (let from = 0; from < channels.length; from += MAX_NAMES)
      await this.changeEach(client, channels.slice(from, from + MAX_NAMES), []);
    this.active = new Set(channels);
    this.client = client;
    this.sync(); // the rest, and later changes
  }

  detach(): void {
    this.client = undefined;
    this.active = new Set();
  }

  /** Resolves when these channels are active or unwanted, with whether the session has lasted. */
  async whenInForce(client: ListenClient, channels: readonly string[]): Promise<boolean> {
    const isMissing = (channel: string) => this.wanted.has(channel) && !this.active.has(channel);
    while (this.client === client && this.syncing && channels.some(isMissing)) await this.syncing;
    return this.client === client;
  }

  /** Resolves when the channels that come first are active, or the session has ended. */
  async whenFirstInForce(client: ListenClient): Promise<void> {
    await this.whenInForce(client, [...this.first]);
  }

  /**
   * Makes channels pending until the first session is open, at most for `ACTIVE_TIMEOUT_MS`:
   * callers must not wait for an unreachable server.
   */
  expectFirst(client: Promise<unknown>): void {
    const opening = settlesWithin(client, ACTIVE_TIMEOUT_MS).then(() => {
      if (this.opening === opening) this.opening = undefined;
    });
    this.opening = opening;
  }

  isPending(channel: string): boolean {
    if (!this.wanted.has(channel)) return false;
    return this.opening !== undefined || (this.syncing !== undefined && !this.active.has(channel));
  }

  /**
   * Resolves when `channel` is active, so that a notification sent afterwards arrives; at once when
   * it is not pending. Waits at most `ACTIVE_TIMEOUT_MS`: the caller may hold locks and the link
   * may be dead.
   */
  async whenActive(channel: string): Promise<void> {
    if (this.isPending(channel)) await settlesWithin(this.becomesActive(channel), ACTIVE_TIMEOUT_MS);
  }

  private async becomesActive(channel: string): Promise<void> {
    while (this.isPending(channel)) await (this.opening ?? this.syncing);
  }

  private warnOfMany(): void {
    if (this.hasMany || this.wanted.size < MANY_CHANNELS) return;
    this.hasMany = true;
    this.report({ type: 'crowded', count: this.wanted.size });
  }

  /**
   * Uses one round trip; when the server rejects it, one for each half, so that one channel does
   * not silence the others. Rejects when the server rejects the permanent channel: a standby
   * rejects all.
   */
  private async changeEach(
    client: ListenClient,
    added: readonly string[],
    removed: readonly string[],
  ): Promise<void> {
    const size = added.length + removed.length;
    if (size === 0) return;
    try {
      await client.changeListens(added, removed);
    } catch (error) {
      if (!isServerError(error)) throw error;
      const channel = added[0] ?? '';
      if (size === 1 && channel === this.permanent) throw error;
      if (size === 1) return this.report({ type: 'refused', channel, error });
      const [addedHalf, removedHalf] = [Math.ceil(added.length / 2), Math.floor(removed.length / 2)];
      await this.changeEach(client, added.slice(0, addedHalf), removed.slice(0, removedHalf));
      await this.changeEach(client, added.slice(addedHalf), removed.slice(removedHalf));
    }
  }

  private sync(): void {
    if (this.syncing || !this.client) return;
    const { client } = this;
    this.syncing = this.inRoot(() => this.runSync(client));
  }

  private async runSync(client: ListenClient): Promise<void> {
    await Promise.resolve(); // gathers all changes of this turn
    const added = this.missingChannels.slice(0, MAX_NAMES);
    const removed = [...this.active]
      .filter((channel) => !this.wanted.has(channel) && channel !== this.permanent)
      .slice(0, MAX_NAMES - added.length);
    const isNeeded = this.client === client && added.length + removed.length > 0;
    if (isNeeded) await this.change(client, added, removed);
    this.syncing = undefined;
    if (isNeeded || this.client !== client) this.sync(); // the next portion, and later changes
  }

  private async change(
    client: ListenClient,
    added: readonly string[],
    removed: readonly string[],
  ): Promise<void> {
    for (const channel of removed) this.active.delete(channel); // a new receiver has to wait
    try {
      await this.changeEach(client, added, removed);
    } catch (error) {
      if (this.client === client) this.client = undefined;
      client.destroy(error); // the next session LISTENs to all of them
      return;
    }
    if (this.client !== client) return;
    for (const channel of added) this.active.add(channel);
  }
}
