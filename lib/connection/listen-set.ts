import { AsyncLocalStorage } from 'node:async_hooks';
import { settlesWithin } from '../common/deadline.js';
import type { ReportEvent } from '../common/events.js';
import { isServerError } from '../common/server-error.js';
import type { ListenClient } from './listen-client.js';

/** Many round trips to a server that answers. */
export const ACTIVE_TIMEOUT_MS = 100;
/**
 * The largest number of names in one statement. The server compares each new name with all names of the session: 500 names
 * after 30,000 others take it about 0.15 s, 30,000 names at once longer than a statement may take.
 */
export const MAX_NAMES = 500;
/** The number of channels from which on a warning is reported. */
export const MANY_CHANNELS = 5_000;

/**
 * Keeps what the session LISTENs to equal to the channels that are wanted: one round trip for all changes known by then, or
 * several, each with a portion. Channels that come first are in force when the session opens; the rest follows. Owned by
 * `ListenConnection`.
 */
export class ListenSet {
  private readonly wanted = new Set<string>();
  /** The wanted channels that come first: those of listeners, and of hints. */
  private readonly first = new Set<string>();
  private active = new Set<string>();
  private client: ListenClient | undefined;
  /** The round trip that is under way, with the turn that gathered its changes. */
  private syncing: Promise<void> | undefined;
  private opening: Promise<void> | undefined;
  private hasMany = false;
  private readonly inRoot = AsyncLocalStorage.snapshot();

  /** `permanent` is always listened to, and not counted among the channels. */
  constructor(
    private readonly permanent: string,
    private readonly report: ReportEvent,
  ) {}

  /** The wanted channels, those that come first before the others. */
  get channels(): string[] {
    return [...new Set([...this.first, ...this.wanted])];
  }

  /** The wanted channels that are in force. */
  get activeChannels(): string[] {
    return this.channels.filter((channel) => this.active.has(channel));
  }

  /** The wanted channels that are not in force yet. */
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
   * Resolves when the channels that come first are in force in `client`; the rest follows, and is pending until then. Rejects
   * when the server refuses.
   */
  async attach(client: ListenClient): Promise<void> {
    const first = [this.permanent, ...this.first].length;
    const portions = Math.ceil(first / MAX_NAMES); // the last one has room for others
    const channels = [this.permanent, ...this.channels].slice(0, portions * MAX_NAMES);
    for (let from = 0; from < channels.length; from += MAX_NAMES)
      await this.changeEach(client, channels.slice(from, from + MAX_NAMES), []);
    this.active = new Set(channels);
    this.client = client;
    this.sync(); // the rest, and what has been asked for meanwhile
  }

  detach(): void {
    this.client = undefined;
    this.active = new Set();
  }

  /**
   * Resolves when these channels are in force in the session, or are no longer wanted. Resolves with whether the session was
   * there until then.
   */
  async whenInForce(client: ListenClient, channels: readonly string[]): Promise<boolean> {
    const isMissing = (channel: string) => this.wanted.has(channel) && !this.active.has(channel);
    while (this.client === client && this.syncing && channels.some(isMissing)) await this.syncing;
    return this.client === client;
  }

  /** Resolves when the channels that come first are in force in the session, or it has ended. */
  async whenFirstInForce(client: ListenClient): Promise<void> {
    await this.whenInForce(client, [...this.first]);
  }

  /**
   * Makes channels pending until the first session is open; at most for `ACTIVE_TIMEOUT_MS`, so that
   * callers do not wait for a server that is away.
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
   * Resolves when `channel` is in force, so that a notification sent then is heard; at once when it
   * is not pending, and after `ACTIVE_TIMEOUT_MS` in any case, because the caller may hold locks and
   * the link may be dead.
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
   * Uses one round trip; when the server rejects it, one for each half, so that one channel does not silence the others.
   * Rejects when the server rejects the permanent channel: a standby rejects all.
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
    await Promise.resolve(); // gathers what else is asked for in this turn
    const added = this.missingChannels.slice(0, MAX_NAMES);
    const removed = [...this.active]
      .filter((channel) => !this.wanted.has(channel) && channel !== this.permanent)
      .slice(0, MAX_NAMES - added.length);
    const isNeeded = this.client === client && added.length + removed.length > 0;
    if (isNeeded) await this.change(client, added, removed);
    this.syncing = undefined;
    if (isNeeded || this.client !== client) this.sync(); // the next portion, and what has been asked for meanwhile
  }

  private async change(
    client: ListenClient,
    added: readonly string[],
    removed: readonly string[],
  ): Promise<void> {
    for (const channel of removed) this.active.delete(channel); // who asks for it meanwhile has to wait
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
