import { AsyncLocalStorage } from 'node:async_hooks';
import { setTimeout as delay } from 'node:timers/promises';
import type { ClientConfig } from 'pg';
import { Subject, type Observable } from 'rxjs';
import type { RawNotification } from '../channels/notification.js';
import { backoffDelayMs } from '../common/backoff.js';
import { messageOf } from '../common/errors.js';
import type { ConnectionState, Gap, Report } from '../common/facts.js';
import { HEARTBEAT_DEFAULTS, type HeartbeatOptions, type ReconnectOptions } from '../common/options.js';
import type { SqlExecutor } from '../common/sql-executor.js';
import { ConnectionStates, type ConnectionSnapshot } from './connection-states.js';
import { connectFailed } from './listen-config.js';
import { ListenSession } from './listen-session.js';
import { ACTIVE_TIMEOUT_MS, ListenSet } from './listen-set.js';
import { RetryPause } from './retry-pause.js';
import { SelfTest } from './self-test.js';

export interface ListenConnectionOptions {
  readonly config: () => ClientConfig;
  /** Does the option `connection` say something about it? */
  readonly isDirected: boolean;
  readonly heartbeat: HeartbeatOptions | false;
  readonly reconnect: ReconnectOptions;
  /** Where the self-test sends from: what the application itself sends through. */
  readonly pool: () => SqlExecutor;
  /** Called on pg's stack: may only put the notification aside, and must not throw. */
  readonly receive: (notification: RawNotification) => void;
  readonly report: Report;
}

/**
 * The one LISTEN connection of an instance: holds a session, opens the next when one is lost, and keeps its
 * LISTENs equal to the channels that are wanted. Owned by the module; it lives from `start()` to `stop()`.
 */
export class ListenConnection {
  private readonly states = new ConnectionStates();
  private readonly gaps = new Subject<Gap>();
  private readonly stopped = new AbortController();
  private readonly retryPause = new RetryPause(this.stopped.signal);
  private readonly selfTest: SelfTest;
  private readonly listens: ListenSet;
  private readonly timeoutMs: number;
  private readonly steadyMs: number;
  /** Never the context of a request: what handlers inherit must not be somebody's transaction or user. */
  private readonly inRoot = AsyncLocalStorage.snapshot();
  private session: ListenSession | undefined;
  /** Of the session before, while there is none. */
  private lastHeardAt: Date | null = null;
  private running: Promise<void> | undefined;
  private startsWhenWanted = false;
  /** Since a session has lasted: one that is lost again at once must not be reopened without pause. */
  private attempts = 0;
  /** Heartbeats go on while nothing else is heard. */
  private deafSince: Date | undefined;

  /** The state now, and every change of it; completes when the application closes. */
  readonly state$: Observable<ConnectionState> = this.states.state$;
  readonly gaps$: Observable<Gap> = this.gaps.asObservable();

  constructor(private readonly options: ListenConnectionOptions) {
    const { intervalMs, timeoutMs } = options.heartbeat || HEARTBEAT_DEFAULTS;
    this.timeoutMs = timeoutMs;
    this.steadyMs = intervalMs;
    this.selfTest = new SelfTest(options.pool, this.timeoutMs);
    this.listens = new ListenSet(this.selfTest.channel, options.report);
  }

  get state(): ConnectionState {
    return this.states.current;
  }

  /** For people and health checks. */
  snapshot(): ConnectionSnapshot {
    return this.states.snapshot(this.listens.channels, this.session?.lastHeardAt ?? this.lastHeardAt);
  }

  /**
   * Connects, LISTENs, and tests that it hears. Rejects with `CONNECT_FAILED` when the first attempt fails: a
   * wrong address should stop the application, not be tried for ever.
   */
  async start(): Promise<void> {
    await this.inRoot(async () => {
      this.states.enter('connecting');
      const session = await this.openSession().catch((cause: unknown) => {
        this.states.enter('closed', messageOf(cause));
        throw connectFailed(cause, this.options.isDirected);
      });
      const tested = this.test(session);
      this.running = this.run(session);
      await tested;
    });
  }

  /** Connects as soon as a channel is wanted, in the background, trying until it succeeds. */
  startWhenWanted(): void {
    this.startsWhenWanted = true;
    this.startIfWanted();
  }

  /** From now on `channel` is listened to, as soon as there is a session. Idempotent. */
  listen(channel: string): void {
    this.listens.add(channel);
    this.startIfWanted();
  }

  unlisten(channel: string): void {
    this.listens.delete(channel);
  }

  /** A LISTEN for `channel` is under way. */
  isListenPending(channel: string): boolean {
    return this.listens.isPending(channel);
  }

  /** Resolves when a LISTEN for `channel` that is under way is in force; at once when there is none. */
  whenListening(channel: string): Promise<void> {
    return this.listens.whenActive(channel);
  }

  /**
   * Ends the pause before the next attempt; called when the pool has reached the server again. Does
   * nothing while no pause is under way. Shortens one pause per second: a wrong direct address is
   * not tried without pause.
   */
  reopenNow(): void {
    this.retryPause.shorten();
  }

  /** What is lost from now on stays lost; the session there is goes on until `stop()`. */
  stopReopening(): void {
    this.stopped.abort();
  }

  /** Ends the session and the attempts to reopen it. Never rejects. */
  async stop(): Promise<void> {
    this.stopReopening();
    await this.session?.close();
    await this.running;
    this.states.complete();
    this.gaps.complete();
  }

  private startIfWanted(): void {
    if (!this.startsWhenWanted || this.listens.isEmpty || this.running || this.stopped.signal.aborted) return;
    this.states.enter('connecting');
    this.running = this.inRoot(() => this.runLate());
  }

  /** As `run()`, for the first session, too: who has observed since then may have missed something. */
  private async runLate(): Promise<void> {
    const wantedSince = new Date();
    const reopened = this.reopen();
    this.listens.expectFirst(reopened);
    const session = await reopened;
    if (session === undefined) return;
    const gap = this.gapSince(wantedSince);
    if (gap.to.getTime() - gap.from.getTime() > ACTIVE_TIMEOUT_MS) this.tellGap(gap);
    await this.run(session);
  }

  /** One turn per session, until `stop()`. */
  private async run(first: ListenSession): Promise<void> {
    let session: ListenSession | undefined = first;
    while (session !== undefined) {
      const opened = performance.now();
      const error = await session.ended;
      if (performance.now() - opened > this.steadyMs) this.attempts = 0;
      this.session = undefined;
      this.lastHeardAt = session.lastHeardAt;
      this.listens.detach();
      if (this.stopped.signal.aborted) return;
      this.states.enter('reconnecting', messageOf(error));
      this.options.report({ type: 'disconnected', error });
      session = await this.resume(this.deafSince ?? session.completeUntil, error);
    }
  }

  /** Reopens the connection after a loss and reports what may have been missed. */
  private async resume(completeUntil: Date, error: unknown): Promise<ListenSession | undefined> {
    const session = await this.reopen(error);
    if (session === undefined) return undefined;
    this.options.report({ type: 'reconnected', attempt: this.attempts });
    this.tellGap(this.gapSince(completeUntil));
    return session;
  }

  /** Tries until it succeeds; `undefined` when the application closed meanwhile. */
  private async reopen(lastError?: unknown): Promise<ListenSession | undefined> {
    for (let error = lastError; !this.stopped.signal.aborted;) {
      this.attempts++;
      if (error !== undefined) await this.pause(this.attempts, error);
      if (this.stopped.signal.aborted) return undefined;
      try {
        const session = await this.openSession();
        void this.test(session);
        return session;
      } catch (failure) {
        error = failure;
      }
    }
    return undefined;
  }

  private async pause(attempt: number, error: unknown): Promise<void> {
    const delayMs = backoffDelayMs(attempt, this.options.reconnect);
    this.states.explain(messageOf(error));
    if (attempt > 1) this.options.report({ type: 'reconnecting', attempt, delayMs, error });
    await this.retryPause.wait(delayMs);
  }

  /** A session in which every wanted channel is listened to. */
  private async openSession(): Promise<ListenSession> {
    const { heartbeat, config, receive } = this.options;
    const session = await ListenSession.open({
      config: config(),
      heartbeatMs: heartbeat === false ? undefined : heartbeat.intervalMs,
      timeoutMs: this.timeoutMs,
      signal: this.stopped.signal,
      receive: (raw) =>
        raw.channel === this.selfTest.channel ? this.selfTest.receive(raw.text) : receive(raw),
    });
    try {
      await this.listens.attach(session);
    } catch (error) {
      session.destroy(error);
      throw error;
    }
    if (this.stopped.signal.aborted) await session.close();
    this.session = session;
    return session;
  }

  /** Settles the state by the self-test; as long as it fails, and the session lasts, it is repeated. */
  private async test(session: ListenSession): Promise<void> {
    const since = new Date();
    const fault = await this.selfTest.findFault(session);
    if (!this.isCurrent(session)) return;
    if (fault === undefined) return this.enterListening(session);
    this.deafSince ??= since;
    const isNew = this.state !== 'deaf';
    this.states.enter('deaf', fault);
    if (isNew) this.options.report({ type: 'deafened', reason: fault });
    void this.testAgain(session);
  }

  private async testAgain(session: ListenSession): Promise<void> {
    const { intervalMs } = this.options.heartbeat || HEARTBEAT_DEFAULTS;
    for (;;) {
      await this.wait(intervalMs);
      if (!this.isCurrent(session)) return;
      const fault = await this.selfTest.findFault(session);
      if (!this.isCurrent(session)) return;
      if (fault !== undefined) {
        this.states.explain(fault);
        continue;
      }
      const gap = this.gapSince(this.deafSince ?? session.lastHeardAt);
      this.enterListening(session);
      this.tellGap(gap);
      return;
    }
  }

  private isCurrent(session: ListenSession): boolean {
    return this.session === session && !session.isOver && !this.stopped.signal.aborted;
  }

  private enterListening(session: ListenSession): void {
    this.deafSince = undefined;
    session.requireProof();
    this.states.enter('listening');
    this.options.report({ type: 'listening', channels: this.listens.channels, processId: session.processId });
  }

  private gapSince(from: Date): Gap {
    return { channels: this.listens.channels, from, to: new Date() };
  }

  private tellGap(gap: Gap): void {
    this.options.report({ type: 'gap', gap });
    this.gaps.next(gap);
  }

  private async wait(ms: number): Promise<void> {
    await delay(ms, undefined, { signal: this.stopped.signal }).catch(() => undefined);
  }
}
