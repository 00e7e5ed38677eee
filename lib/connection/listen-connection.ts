import { AsyncLocalStorage } from 'node:async_hooks';
import type { ClientConfig } from 'pg';
import type { Observable } from 'rxjs';
import type { RawNotification } from '../channels/notification.js';
import { messageOf } from '../common/errors.js';
import type { ConnectionState, Gap, ReportEvent } from '../common/events.js';
import { HEARTBEAT_DEFAULTS, type HeartbeatOptions, type ReconnectOptions } from '../common/options.js';
import type { SqlExecutor } from '../common/sql-executor.js';
import { ConnectionStates, type ConnectionSnapshot } from './connection-states.js';
import { GapEmitter } from './gap-emitter.js';
import { SelfTestMonitor } from './self-test-monitor.js';
import { connectFailed } from './listen-config.js';
import { ListenClient } from './listen-client.js';
import { ListenSet } from './listen-set.js';
import { now, type Timestamp } from './timestamp.js';
import { Reconnector } from './reconnector.js';
import { SelfTest } from './self-test.js';

export interface ListenConnectionOptions {
  readonly config: () => ClientConfig;
  /** Whether the DataSource is usable: a channel observed before `start()` then connects. */
  readonly canConnect: () => boolean;
  /** Whether the address comes from the option `connection`. */
  readonly isDirected: boolean;
  readonly heartbeat: HeartbeatOptions | false;
  readonly reconnect: ReconnectOptions;
  /** The pool of the application, through which the self-test sends. */
  readonly pool: () => SqlExecutor;
  /** Called on pg's stack: may only enqueue the notification, and must not throw. */
  readonly receive: (notification: RawNotification) => void;
  readonly report: ReportEvent;
}

/**
 * The LISTEN connection of an instance: holds a session, opens the next one after a loss, and keeps
 * its LISTENs equal to the wanted channels. Owned by the module; lives from `start()`, or from the
 * first channel that is wanted earlier, to `stop()`.
 */
export class ListenConnection {
  private readonly states = new ConnectionStates();
  private readonly gaps: GapEmitter;
  private readonly stopped = new AbortController();
  private readonly reconnector: Reconnector;
  private readonly selfTest: SelfTest;
  private readonly monitor: SelfTestMonitor;
  private readonly listens: ListenSet;
  private readonly heartbeat: HeartbeatOptions;
  /** Runs work outside of any request: handlers must not inherit its transaction or user. */
  private readonly inRoot = AsyncLocalStorage.snapshot();
  /** `early`: before the start, nothing is reopened. `lazy`: opened when a channel is wanted. */
  private mode: 'early' | 'started' | 'lazy' = 'early';
  private client: ListenClient | undefined;
  /** The value of the session before, while there is none. */
  private lastHeardAt: Date | null = null;
  private running: Promise<void> | undefined;
  /** The attempt before the start, while it runs. */
  private opening: Promise<void> | undefined;
  private hasFailedEarly = false;
  private tested: Promise<void> | undefined;

  /** Emits the current state, and every change; completes when the application closes. */
  readonly state$: Observable<ConnectionState> = this.states.state$;
  readonly gaps$: Observable<Gap>;

  constructor(private readonly options: ListenConnectionOptions) {
    const { report } = options;
    this.heartbeat = options.heartbeat || HEARTBEAT_DEFAULTS;
    this.selfTest = new SelfTest(options.pool, this.heartbeat.timeoutMs);
    this.listens = new ListenSet(this.selfTest.channel, report);
    this.gaps = new GapEmitter(this.listens, report);
    this.gaps$ = this.gaps.gaps$;
    const shared = { states: this.states, stopped: this.stopped.signal, report };
    this.reconnector = new Reconnector({
      ...shared,
      open: () => this.openClient(),
      reconnect: options.reconnect,
    });
    this.monitor = new SelfTestMonitor({
      ...shared,
      selfTest: this.selfTest,
      listens: this.listens,
      gaps: this.gaps,
      isCurrent: (client) => this.client === client && !client.isOver && !this.isStopped,
      intervalMs: this.heartbeat.intervalMs,
    });
  }

  get state(): ConnectionState {
    return this.states.current;
  }

  snapshot(): ConnectionSnapshot {
    return this.states.snapshot(this.listens.channels, this.client?.lastHeardAt ?? this.lastHeardAt);
  }

  /**
   * Connects, LISTENs and runs the self-test, or joins the session that was opened early. Rejects
   * with `CONNECT_FAILED` when the first attempt fails: a wrong address should stop the
   * application, not be retried indefinitely. Resolves when LISTEN is active on the channels that
   * come first.
   */
  async start(): Promise<void> {
    this.mode = 'started';
    await this.inRoot(async () => {
      await this.opening;
      if (this.running === undefined) await this.openAtStart();
      this.client?.ref();
      if (this.client) await this.listens.whenFirstInForce(this.client);
      await this.tested;
    });
    this.gaps.release();
  }

  /** Connects in the background as soon as a channel is wanted, and retries until it succeeds. */
  startWhenWanted(): void {
    this.mode = 'lazy';
    this.client?.ref();
    this.gaps.release();
    this.openIfWanted();
  }

  /**
   * LISTENs to `channel` as soon as there is a session. `first`: before channels without this
   * option, which may be many. Idempotent.
   */
  listen(channel: string, options: { readonly first?: boolean } = {}): void {
    this.listens.add(channel, options);
    this.openIfWanted();
  }

  unlisten(channel: string): void {
    this.listens.delete(channel);
  }

  isListenPending(channel: string): boolean {
    return this.listens.isPending(channel);
  }

  /** Resolves when a pending LISTEN for `channel` is active; at once when none is pending. */
  whenListening(channel: string): Promise<void> {
    return this.listens.whenActive(channel);
  }

  /**
   * Ends a pause before the next attempt; called when the pool has reached the server again.
   * Shortens one pause per second: a wrong direct address is not tried without pause.
   */
  reopenNow(): void {
    this.reconnector.shorten();
  }

  /** Stops reopening lost sessions; the current session continues until `stop()`. */
  stopReopening(): void {
    this.stopped.abort();
  }

  /** Ends the session and the attempts to reopen it. Never rejects. */
  async stop(): Promise<void> {
    this.stopReopening();
    await this.client?.close();
    await this.opening;
    await this.running;
    this.states.complete();
    this.gaps.complete();
  }

  private get isStopped(): boolean {
    return this.stopped.signal.aborted;
  }

  private openIfWanted(): void {
    if (this.listens.isEmpty || this.running || this.opening || this.isStopped) return;
    if (this.mode === 'early') {
      if (this.hasFailedEarly) return; // start() makes the next attempt
      this.opening = this.inRoot(() => this.openEarly());
      this.listens.expectFirst(this.opening);
    } else if (this.mode === 'lazy') {
      this.states.enter('connecting');
      this.running = this.inRoot(() => this.runLate());
    }
  }

  /** Opens the first session before `start()`, for observed channels. Never rejects. */
  private async openEarly(): Promise<void> {
    const wantedSince = now();
    await Promise.resolve(); // a start() in the same turn opens the session itself
    if (this.mode === 'early' && !this.isStopped) await this.tryEarly(wantedSince);
    this.opening = undefined;
    if (this.mode === 'lazy') this.openIfWanted();
  }

  private async tryEarly(wantedSince: Timestamp): Promise<void> {
    if (this.options.canConnect()) {
      try {
        this.begin(await this.openFirst(), wantedSince);
        return;
      } catch {
        this.hasFailedEarly = true; // start() reports the error if it fails, too
      }
    }
    this.gaps.missedSince ??= wantedSince;
  }

  private async openAtStart(): Promise<void> {
    const client = await this.openFirst().catch((cause: unknown) => {
      throw connectFailed(cause, this.options.isDirected);
    });
    this.begin(client);
  }

  private async openFirst(): Promise<ListenClient> {
    this.states.enter('connecting');
    try {
      return await this.openClient();
    } catch (error) {
      this.states.enter('closed', messageOf(error));
      throw error;
    }
  }

  private begin(client: ListenClient, wantedSince?: Timestamp): void {
    this.tested = this.monitor.test(client);
    this.running = this.run(client);
    this.gaps.emitForFirst(client, wantedSince);
  }

  /** Runs as `run()` does, and reports a gap for the first session, too. */
  private async runLate(): Promise<void> {
    const wantedSince = now();
    const reopened = this.reconnector.open();
    this.listens.expectFirst(reopened);
    const client = await reopened;
    if (client === undefined) return;
    this.tested = this.monitor.test(client);
    this.gaps.emitForFirst(client, wantedSince);
    await this.run(client);
  }

  /** Replaces each session that ends, until `stop()`. */
  private async run(first: ListenClient): Promise<void> {
    let client: ListenClient | undefined = first;
    while (client !== undefined) {
      const opened = performance.now();
      const error = await client.ended;
      if (performance.now() - opened > this.heartbeat.intervalMs) this.reconnector.attempts = 0;
      this.client = undefined;
      this.lastHeardAt = client.lastHeardAt;
      this.listens.detach();
      if (this.isStopped) return;
      const missedSince = this.gaps.missedSince ?? this.monitor.deafSince ?? client.completeUntil;
      const isEarly = this.mode === 'early';
      this.states.enter(isEarly ? 'closed' : 'reconnecting', messageOf(error));
      this.options.report({ type: 'disconnected', error });
      if (isEarly) return this.waitForStart(missedSince);
      client = await this.resume(missedSince, error);
    }
  }

  /** Leaves reopening to `start()`: an application that never starts must not keep a connection. */
  private waitForStart(missedSince: Timestamp): void {
    this.gaps.missedSince = missedSince;
    this.running = undefined;
    this.hasFailedEarly = true;
  }

  private async resume(missedSince: Timestamp, error: unknown): Promise<ListenClient | undefined> {
    const client = await this.reconnector.open(error);
    if (client === undefined) return undefined;
    this.tested = this.monitor.test(client);
    this.options.report({ type: 'reconnected', attempt: this.reconnector.attempts });
    this.gaps.emitForReopened(client, missedSince);
    return client;
  }

  /** Opens a session with LISTENs for the channels that come first; the others follow. */
  private async openClient(): Promise<ListenClient> {
    const { heartbeat, config, receive } = this.options;
    const client = await ListenClient.open({
      config: config(),
      heartbeatMs: heartbeat === false ? undefined : heartbeat.intervalMs,
      timeoutMs: this.heartbeat.timeoutMs,
      signal: this.stopped.signal,
      receive: (raw) =>
        raw.channel === this.selfTest.channel ? this.selfTest.receive(raw.text) : receive(raw),
    });
    try {
      await this.listens.attach(client);
    } catch (error) {
      client.destroy(error);
      throw error;
    }
    if (this.mode === 'early') client.unref();
    if (this.isStopped) await client.close();
    this.client = client;
    return client;
  }
}
