import { AsyncLocalStorage } from 'node:async_hooks';
import { settlesWithin } from '../common/deadline.js';
import type { Report } from '../common/facts.js';
import { isServerError } from '../common/server-error.js';
import type { ListenSession } from './listen-session.js';

/** Many round trips to a server that answers. */
export const ACTIVE_TIMEOUT_MS = 100;

/**
 * Keeps what the session LISTENs to equal to the channels that are wanted: everything in one round trip when a
 * session opens, and one round trip for all changes known by then while it lasts. Owned by `ListenConnection`.
 */
export class ListenSet {
  private readonly wanted = new Set<string>();
  private active = new Set<string>();
  private session: ListenSession | undefined;
  /** The round trip that is under way, with the turn that gathered its changes. */
  private pass: Promise<void> | undefined;
  private opening: Promise<void> | undefined;
  private readonly inRoot = AsyncLocalStorage.snapshot();

  /** `permanent` is always listened to, and not counted among the channels. */
  constructor(
    private readonly permanent: string,
    private readonly report: Report,
  ) {}

  get channels(): string[] {
    return [...this.wanted];
  }

  get isEmpty(): boolean {
    return this.wanted.size === 0;
  }

  add(channel: string): void {
    this.wanted.add(channel);
    this.align();
  }

  delete(channel: string): void {
    this.wanted.delete(channel);
    this.align();
  }

  /** Resolves when everything wanted by now is in force in `session`; rejects when the server refuses. */
  async attach(session: ListenSession): Promise<void> {
    const channels = new Set([this.permanent, ...this.wanted]);
    try {
      await session.changeListens(channels);
    } catch (error) {
      if (!isServerError(error)) throw error;
      await session.changeListens([this.permanent]); // a standby refuses this one, too
      await this.changeEach(session, this.channels, []);
    }
    this.active = channels;
    this.session = session;
    this.align(); // what has been asked for meanwhile
  }

  detach(): void {
    this.session = undefined;
    this.active = new Set();
  }

  /**
   * Makes channels pending until the first session is open; at most for `ACTIVE_TIMEOUT_MS`, so that
   * callers do not wait for a server that is away.
   */
  expectFirst(session: Promise<unknown>): void {
    this.opening = settlesWithin(session, ACTIVE_TIMEOUT_MS).then(() => {
      this.opening = undefined;
    });
  }

  isPending(channel: string): boolean {
    if (!this.wanted.has(channel)) return false;
    return this.opening !== undefined || (this.pass !== undefined && !this.active.has(channel));
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
    while (this.isPending(channel)) await (this.opening ?? this.pass);
  }

  /**
   * Uses one round trip; when the server rejects it, one for each channel, so that one does not
   * silence the others.
   */
  private async changeEach(
    session: ListenSession,
    added: readonly string[],
    removed: readonly string[],
  ): Promise<void> {
    if (added.length + removed.length === 0) return;
    try {
      await session.changeListens(added, removed);
    } catch (error) {
      if (!isServerError(error)) throw error;
      if (added.length + removed.length === 1)
        return this.report({ type: 'refused', channel: added[0] ?? '', error });
      for (const channel of added) await this.changeEach(session, [channel], []);
      for (const channel of removed) await this.changeEach(session, [], [channel]);
    }
  }

  private align(): void {
    if (this.pass || !this.session) return;
    const { session } = this;
    this.pass = this.inRoot(() => this.runPass(session));
  }

  private async runPass(session: ListenSession): Promise<void> {
    await Promise.resolve(); // gathers what else is asked for in this turn
    const added = [...this.wanted].filter((channel) => !this.active.has(channel));
    const removed = [...this.active].filter(
      (channel) => !this.wanted.has(channel) && channel !== this.permanent,
    );
    const isNeeded = this.session === session && added.length + removed.length > 0;
    if (isNeeded) await this.change(session, added, removed);
    this.pass = undefined;
    if (isNeeded || this.session !== session) this.align(); // what has been asked for meanwhile
  }

  private async change(
    session: ListenSession,
    added: readonly string[],
    removed: readonly string[],
  ): Promise<void> {
    for (const channel of removed) this.active.delete(channel); // who asks for it meanwhile has to wait
    try {
      await this.changeEach(session, added, removed);
    } catch (error) {
      if (this.session === session) this.session = undefined;
      session.destroy(error); // the next session LISTENs to all of them
      return;
    }
    if (this.session !== session) return;
    for (const channel of added) this.active.add(channel);
  }
}
