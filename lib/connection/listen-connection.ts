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
  /** Whether the DataSource is usable: a channel that is observed before `start()` opens the connection then. */
  readonly canConnect: () => boolean;
  /** Does the option `connection` say something about it? */
  readonly isDirected: boolean;
  readonly heartbeat: HeartbeatOptions | false;
  readonly reconnect: ReconnectOptions;
  /** Where the self-test sends from: what the application itself sends through. */
  readonly pool: () => SqlExecutor;
  /** Called on pg's stack: may only put the notification aside, and must not throw. */
  readonly receive: (notification: RawNotification) => void;
  readonly report: ReportEvent;
}

/**
 * The one LISTEN connection of an instance: holds a session, opens the next when one is lost, and keeps its
 * LISTENs equal to the channels that are wanted. Owned by the module; it lives from `start()`, or from the first channel that
 * is wanted earlier, to `stop()`.
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
  /** Never the context of a request: what handlers inherit must not be somebody's transaction or user. */
  private readonly inRoot = AsyncLocalStorage.snapshot();
  /** `early`: before the start, when nothing is reopened; `lazy`: opened when a channel is wanted. */
  private mode: 'early' | 'started' | 'lazy' = 'early';
  private client: ListenClient | undefined;
  /** Of the session before, while there is none. */
  private lastHeardAt: Date | null = null;
  private running: Promise<void> | undefined;
  /** The attempt before the start, until it has ended. */
  private opening: Promise<void> | undefined;
  private hasFailedEarly = false;
  private tested: Promise<void> | undefined;

  /** The state now, and every change of it; completes when the application closes. */
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

  /** For people and health checks. */
  snapshot(): ConnectionSnapshot {
    return this.states.snapshot(this.listens.channels, this.client?.lastHeardAt ?? this.lastHeardAt);
  }

  /**
   * Connects, LISTENs, and tests that it hears; or joins the session that was opened before, for channels that were wanted
   * early. Rejects with `CONNECT_FAILED` when the first attempt from here fails: a wrong address should stop the
   * application, not be tried indefinitely. Resolves when the channels that come first are in force.
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

  /** Connects as soon as a channel is wanted, in the background, trying until it succeeds. */
  startWhenWanted(): void {
    this.mode = 'lazy';
    this.client?.ref();
    this.gaps.release();
    this.openIfWanted();
  }

  /**
   * From now on `channel` is listened to, as soon as there is a session. `first`: before channels without this option, which
   * may be many. Idempotent.
   */
  listen(channel: string, options: { readonly first?: boolean } = {}): void {
    this.listens.add(channel, options);
    this.openIfWanted();
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
    this.reconnector.shorten();
  }

  /** What is lost from now on stays lost; the session there is goes on until `stop()`. */
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

  /** Opens the first session before `start()`, for channels that are observed already. Never rejects. */
  private async openEarly(): Promise<void> {
    const wantedSince = now();
    await Promise.resolve(); // a start in the same turn opens the session itself
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
        this.hasFailedEarly = true; // the error is that of the start, if it fails as well
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

  /** As `run()`, for the first session, too: what was sent since a channel was wanted may have been missed. */
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

  /** One turn per session, until `stop()`. */
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

  /** Leaves it to the start to open the connection again: an application that never starts must not keep it open. */
  private waitForStart(missedSince: Timestamp): void {
    this.gaps.missedSince = missedSince;
    this.running = undefined;
    this.hasFailedEarly = true;
  }

  /** Reopens the connection after a loss and reports what may have been missed. */
  private async resume(missedSince: Timestamp, error: unknown): Promise<ListenClient | undefined> {
    const client = await this.reconnector.open(error);
    if (client === undefined) return undefined;
    this.tested = this.monitor.test(client);
    this.options.report({ type: 'reconnected', attempt: this.reconnector.attempts });
    this.gaps.emitForReopened(client, missedSince);
    return client;
  }

  /** Opens a session in which the channels that come first are listened to; the others follow. */
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
