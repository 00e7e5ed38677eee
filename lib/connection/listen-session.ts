import { setTimeout as delay } from 'node:timers/promises';
import pg from 'pg';
import { disableIdleSessionTimeout, heartbeat, unlistenAll } from './listen.sql.js';

/** A notification as it came off the wire. */
export interface RawNotification {
  readonly channel: string;
  readonly text: string;
  readonly processId: number;
}

export interface SessionOptions {
  readonly config: pg.ClientConfig;
  /** Pause between two heartbeats; `undefined`: none. */
  readonly heartbeatMs: number | undefined;
  /** How long the server may take to answer a statement. */
  readonly timeoutMs: number;
  /** Called on pg's stack: may only put the notification aside, and must not throw. */
  readonly receive: (notification: RawNotification) => void;
  /** Gives up connecting. */
  readonly signal: AbortSignal;
}

/** How long a polite end of the session may take before the socket is cut. */
const CLOSE_TIMEOUT_MS = 2_000;

/**
 * One session of PostgreSQL, from connect to its end: a pg.Client of its own, statements one after the other, a
 * heartbeat. Owned by `ListenConnection`, which opens the next one when `ended` resolves.
 */
export class ListenSession {
  /** Resolves with the reason when the session is over, however that came; never rejects. */
  readonly ended: Promise<unknown>;
  private readonly client: pg.Client;
  private lastHeardMs = Date.now();
  private reason: unknown;
  private over = false;
  private timer: NodeJS.Timeout | undefined;
  private lastStatement: Promise<unknown> = Promise.resolve();

  private constructor(private readonly options: SessionOptions) {
    this.client = new pg.Client(options.config);
    // Stays attached for ever: pg emits late errors, and one without a listener ends the process.
    this.client.on('error', (error) => (this.reason ??= error));
    this.client.on('notification', ({ channel, payload, processId }) => {
      this.lastHeardMs = Date.now();
      options.receive({ channel, text: payload ?? '', processId });
    });
    this.ended = new Promise((resolve) => {
      this.client.once('end', () => {
        this.over = true;
        clearTimeout(this.timer);
        resolve(this.reason ?? new Error('the connection ended'));
      });
    });
  }

  /** Connects; rejects with the reason, leaving nothing open. */
  static async open(options: SessionOptions): Promise<ListenSession> {
    const session = new ListenSession(options);
    const giveUp = () => session.destroy(options.signal.reason);
    options.signal.addEventListener('abort', giveUp);
    try {
      await session.client.connect();
      await session.execute(disableIdleSessionTimeout);
    } catch (error) {
      session.destroy(error);
      throw error;
    } finally {
      options.signal.removeEventListener('abort', giveUp);
    }
    session.scheduleHeartbeat();
    return session;
  }

  /** When the server last said anything. */
  get lastHeardAt(): Date {
    return new Date(this.lastHeardMs);
  }

  get isOver(): boolean {
    return this.over;
  }

  /** PostgreSQL's process id, as the server (or a pooler in front of it) announced it. */
  get processId(): number {
    // set by pg during connect, missing in its declarations
    return (this.client as unknown as { readonly processID: number }).processID;
  }

  /** Runs a statement once those before it are done: pg's own queue is deprecated. */
  execute(text: string): Promise<pg.QueryResult> {
    const query: pg.QueryConfig & { query_timeout: number } = { text, query_timeout: this.options.timeoutMs };
    const statement = this.lastStatement.then(() => this.client.query(query));
    this.lastStatement = statement.catch(() => undefined);
    return statement;
  }

  /** Cuts the socket. For links that no longer answer, on which `end()` would wait for ever. */
  destroy(reason: unknown): void {
    this.reason ??= reason;
    // not in pg's declarations; read late, because a TLS upgrade replaces it
    const { connection } = this.client as unknown as {
      readonly connection: { readonly stream: { destroy(): void } };
    };
    connection.stream.destroy();
  }

  /** Ends the session politely, or after two seconds by cutting the socket. Never rejects. */
  async close(): Promise<void> {
    clearTimeout(this.timer);
    if (this.over) return;
    this.reason ??= new Error('closed by the application');
    const waiting = new AbortController();
    const polite = this.execute(unlistenAll).then(() => this.client.end());
    const timeout = delay(CLOSE_TIMEOUT_MS, undefined, { signal: waiting.signal });
    await Promise.race([polite.catch(() => undefined), this.ended, timeout]);
    waiting.abort();
    timeout.catch(() => undefined);
    if (!this.over) this.destroy(this.reason);
    await this.ended;
  }

  private scheduleHeartbeat(): void {
    const { heartbeatMs } = this.options;
    if (heartbeatMs === undefined || this.over) return;
    this.timer = setTimeout(() => void this.beat(), heartbeatMs);
    this.timer.unref();
  }

  private async beat(): Promise<void> {
    try {
      await this.execute(heartbeat);
      this.lastHeardMs = Date.now();
      this.scheduleHeartbeat();
    } catch (error) {
      this.destroy(error);
    }
  }
}
