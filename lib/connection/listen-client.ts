import pg from 'pg';
import type { RawNotification } from '../channels/notification.js';
import { ROUND_TRIP_MS, isTimedOut, settlesWithin, withDeadline } from '../common/deadline.js';
import { AS_TEXT, destroySocket, keepAlive, processIdOf } from '../postgres/pg-client.js';
import { changeListens, disableIdleSessionTimeout, heartbeat, identify, unlistenAll } from './listen.sql.js';
import { dateOf, now, type Timestamp } from './timestamp.js';
import { SessionLostError, assertSameSession, type SessionProof } from './session-proof.js';

export interface ListenClientOptions {
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

/** A row of a statement; every column is text. */
type Row = Readonly<Record<string, string>>;

/** Channels by name; read more than once. */
type Channels = ReadonlySet<string> | readonly string[];

/** How long a polite end of the session may take before the socket is cut. */
const CLOSE_TIMEOUT_MS = 2_000;

/**
 * One session of PostgreSQL, from connect to its end: a pg.Client of its own, statements one after the other, a
 * heartbeat. Owned by `ListenConnection`, which opens the next one when `ended` resolves.
 */
export class ListenClient {
  /** Resolves with the reason when the session is over, however that came; never rejects. */
  readonly ended: Promise<unknown>;
  private readonly client: pg.Client;
  private lastHeard = now();
  private reason: unknown;
  private over = false;
  private isClosing = false;
  private timer: NodeJS.Timeout | undefined;
  private lastWork: Promise<unknown> = Promise.resolve();
  /** The channels that the statements of this session have put in force. */
  private readonly channels = new Set<string>();
  private isProofRequired = false;
  private lastProof: SessionProof | undefined;
  private lastProven = now();

  private constructor(private readonly options: ListenClientOptions) {
    this.client = new pg.Client(options.config);
    // Stays attached indefinitely: pg emits late errors, and one without a listener ends the process.
    this.client.on('error', (error) => (this.reason ??= error));
    this.client.on('notification', ({ channel, payload, processId }) => {
      this.lastHeard = now();
      options.receive({ channel, text: payload ?? '', processId });
    });
    this.ended = new Promise((resolve) => {
      // no deadline: lasts as long as the session
      this.client.once('end', () => {
        this.over = true;
        clearTimeout(this.timer);
        resolve(this.reason ?? new Error('the connection ended'));
      });
    });
  }

  /** Connects; rejects with the reason, leaving nothing open. */
  static async open(options: ListenClientOptions): Promise<ListenClient> {
    const listenClient = new ListenClient(options);
    const giveUp = () => listenClient.destroy(options.signal.reason);
    options.signal.addEventListener('abort', giveUp);
    try {
      await withDeadline(listenClient.client.connect(), {
        ms: connectTimeoutMs(options.config),
        what: 'the server did not accept the LISTEN connection',
      });
      await listenClient.inTurn(() => listenClient.send(disableIdleSessionTimeout));
    } catch (error) {
      listenClient.destroy(error);
      throw error;
    } finally {
      options.signal.removeEventListener('abort', giveUp);
    }
    listenClient.scheduleHeartbeat();
    return listenClient;
  }

  /** When the server last said anything. */
  get lastHeardAt(): Date {
    return dateOf(this.lastHeard);
  }

  /**
   * Until when nothing was missed: a session that has lost channels may have received something on
   * the others since.
   */
  get completeUntil(): Timestamp {
    return this.reason instanceof SessionLostError ? this.lastProven : this.lastHeard;
  }

  get isOver(): boolean {
    return this.over;
  }

  /** PostgreSQL's process id, as the server (or a pooler in front of it) announced it. */
  get processId(): number {
    return processIdOf(this.client);
  }

  /** Starts and ends LISTENs, all of them or none: rejects when the server rejects one. */
  changeListens(added: Channels, removed: Channels = []): Promise<void> {
    return this.inTurn(async () => {
      await this.send(changeListens(added, removed));
      for (const channel of added) this.channels.add(channel);
      for (const channel of removed) this.channels.delete(channel);
    });
  }

  /** Returns the row of `identify`. */
  identify(): Promise<Row> {
    return this.inTurn(() => this.send(identify));
  }

  /**
   * Ends the session at the first heartbeat that another backend answers, or the same one with
   * fewer channels. For a session that has passed its self-test: behind a transaction pooler, each
   * statement may run in another backend.
   */
  requireProof(): void {
    this.isProofRequired = true;
    this.lastProven = now();
  }

  /** Lets the process end although the session is open: the application has not started yet. */
  unref(): void {
    keepAlive(this.client, false);
  }

  /** Keeps the process alive while the session is open. */
  ref(): void {
    keepAlive(this.client, true);
  }

  /** Cuts the socket. For links that no longer answer, on which `end()` never returns. */
  destroy(reason: unknown): void {
    this.reason ??= reason;
    destroySocket(this.client);
  }

  /** Ends the session politely, or after two seconds by cutting the socket. Never rejects. */
  async close(): Promise<void> {
    this.isClosing = true;
    clearTimeout(this.timer);
    if (this.over) return;
    this.reason ??= new Error('closed by the application');
    const polite = this.inTurn(() => this.send(unlistenAll)).then(() => this.client.end());
    await settlesWithin(polite, CLOSE_TIMEOUT_MS);
    if (!this.over) this.destroy(this.reason);
    await this.ended;
  }

  /** Runs `work` after the work before it: pg's own queue of statements is deprecated. */
  private inTurn<T>(work: () => Promise<T>): Promise<T> {
    const result = this.lastWork.then(work);
    this.lastWork = result.catch(() => undefined);
    return result;
  }

  /**
   * Returns the first row. A late answer ends the session: the next statement would wait for it,
   * too.
   */
  private async send(text: string): Promise<Row> {
    try {
      const { rows } = await withDeadline(this.client.query<Row>({ text, types: AS_TEXT }), {
        ms: this.options.timeoutMs,
        what: 'the server did not answer on the LISTEN connection',
      });
      return rows?.[0] ?? {}; // several statements in one text have several results
    } catch (error) {
      if (isTimedOut(error)) this.destroy(error);
      throw this.reason ?? error;
    }
  }

  private scheduleHeartbeat(): void {
    const { heartbeatMs } = this.options;
    if (heartbeatMs === undefined || this.over || this.isClosing) return;
    this.timer = setTimeout(() => void this.beat(), heartbeatMs);
    this.timer.unref();
  }

  private async beat(): Promise<void> {
    try {
      await this.inTurn(() => this.prove());
      this.lastHeard = now();
      this.scheduleHeartbeat();
    } catch (error) {
      this.destroy(error);
    }
  }

  private async prove(): Promise<void> {
    const sent = now();
    const { pid, channels } = await this.send(heartbeat);
    if (!this.isProofRequired) return;
    const proof = { pid: String(pid), channels: Number(channels) };
    assertSameSession(proof, this.channels.size, this.lastProof);
    this.lastProof = proof;
    this.lastProven = sent;
  }
}

/** pg's limit, with one where it has none: an attempt that never ends is never repeated. */
const connectTimeoutMs = ({ connectionTimeoutMillis }: pg.ClientConfig): number =>
  Number(connectionTimeoutMillis) || ROUND_TRIP_MS; // text when a URL gives it
