import { AsyncLocalStorage } from 'node:async_hooks';
import { setTimeout as delay } from 'node:timers/promises';
import type { ListenSession } from './listen-session.js';
import { changeListens } from './listen.sql.js';

/** Many round trips to a server that answers. */
const ACTIVE_TIMEOUT_MS = 100;

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
  private readonly inRoot = AsyncLocalStorage.snapshot();

  /** `permanent` is always listened to, and not counted among the channels. */
  constructor(private readonly permanent: string) {}

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
    await session.execute(changeListens(channels, []));
    this.active = channels;
    this.session = session;
    this.align(); // what has been asked for meanwhile
  }

  detach(): void {
    this.session = undefined;
    this.active = new Set();
  }

  isPending(channel: string): boolean {
    return this.pass !== undefined && this.wanted.has(channel) && !this.active.has(channel);
  }

  /**
   * Resolves when `channel` is in force: what is sent then is heard. At once when there is nothing to wait for; after
   * `ACTIVE_TIMEOUT_MS` in any case, because who waits may hold locks, and the link may be dead.
   */
  async whenActive(channel: string): Promise<void> {
    const done = new AbortController();
    const timeout = delay(ACTIVE_TIMEOUT_MS, undefined, { signal: done.signal }).catch(() => undefined);
    const deadline = performance.now() + ACTIVE_TIMEOUT_MS;
    while (this.isPending(channel) && performance.now() < deadline) await Promise.race([this.pass, timeout]);
    done.abort();
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
    try {
      await session.execute(changeListens(added, removed));
    } catch (error) {
      if (this.session === session) this.session = undefined;
      session.destroy(error); // the next session LISTENs to all of them
      return;
    }
    if (this.session !== session) return;
    for (const channel of added) this.active.add(channel);
    for (const channel of removed) this.active.delete(channel);
  }
}
