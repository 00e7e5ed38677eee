import pg from 'pg';
import type { RawNotification } from '../channels/notification.js';
import { ROUND_TRIP_MS, isTimedOut, settlesWithin, withDeadline } from '../common/deadline.js';
import { AS_TEXT, destroySocket, keepAlive, processIdOf } from '../postgres/pg-client.js';
import { changeListens, disableIdleSessionTimeout, heartbeat, identify, unlistenAll } from './listen.sql.js';
import { dateOf, now, type Timestamp } from './timestamp.js';
import { SessionLostError, assertSameSession, type SessionProof } from './session-proof.js';

export interface ListenClientOptions {
  readonly config: pg.ClientConfig;
  /** The pause between two heartbeats; `undefined`: none. */
  readonly heartbeatMs: number | undefined;
  /** The time limit for the answer to a statement. */
  readonly timeoutMs: number;
  /** Called on pg's stack: may only enqueue the notification, and must not throw. */
  readonly receive: (notification: RawNotification) => void;
  /** Ends an attempt to connect. */
  readonly signal: AbortSignal;
}

type Row = Readonly<Record<string, string>>;

/** Names of channels; iterated more than once. */
type Channels = ReadonlySet<string> | readonly string[];

/** The time for a regular end, after which the socket is destroyed. */
const CLOSE_TIMEOUT_MS = 2_000;

/**
 * One session of PostgreSQL: a pg.Client of its own, statements one after the other, a heartbeat.
 * Owned by `ListenConnection`, which opens the next one when `ended` resolves.
 */
export class ListenClient {
  /** Resolves with the reason when the session has ended; never rejects. */
  readonly ended: Promise<unknown>;
  private readonly client: pg.Client;
  private lastHeard = now();
  private reason: unknown;
  private over = false;
  private isClosing = false;
  private timer: NodeJS.Timeout | undefined;
  private lastWork: Promise<unknown> = Promise.resolve();
  /** The channels on which this session has an active LISTEN. */
  private readonly channels = new Set<string>();
  private isProofRequired = false;
  private lastProof: SessionProof | undefined;
  private lastProven = now();

  private constructor(private readonly options: ListenClientOptions) {
    this.client = new pg.Client(options.config);
    // Stays attached: pg emits late errors, and one without a listener ends the process.
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

  /** Connects. Rejects with the reason, and leaves nothing open. */
  static async open(options: ListenClientOptions): Promise<ListenClient> {
    const listenClient = new ListenClient(options);
    const giveUp = () => listenClient.destroy(options.signal.reason);
    options.signal.addEventListener('abort', giveUp);
    try {
      await withDeadline(listenClient.client.connect(), {
        ms: connectTimeoutMs(options.config),
        what: 'the server to accept the LISTEN connection',
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

  /** When the server last sent anything. */
  get lastHeardAt(): Date {
    return dateOf(this.lastHeard);
  }

  /**
   * The time until which nothing was missed. A session that has lost channels may have received
   * notifications on the others since.
   */
  get completeUntil(): Timestamp {
    return this.reason instanceof SessionLostError ? this.lastProven : this.lastHeard;
  }

  get isOver(): boolean {
    return this.over;
  }

  /** PostgreSQL's process id, as announced by the server or a pooler in front of it. */
  get processId(): number {
    return processIdOf(this.client);
  }

  /** Starts and ends LISTENs, all or none. Rejects when the server rejects one. */
  changeListens(added: Channels, removed: Channels = []): Promise<void> {
    return this.inTurn(async () => {
      await this.send(changeListens(added, removed));
      for (const channel of added) this.channels.add(channel);
      for (const channel of removed) this.channels.delete(channel);
    });
  }

  identify(): Promise<Row> {
    return this.inTurn(() => this.send(identify));
  }

  /**
   * Ends the session at the first heartbeat that another backend answers, or that counts fewer
   * channels. For a session that has passed its self-test: behind a transaction pooler, each
   * statement may run in another backend.
   */
  requireProof(): void {
    this.isProofRequired = true;
    this.lastProven = now();
  }

  /** Lets the process exit while the session is open: the application has not started yet. */
  unref(): void {
    keepAlive(this.client, false);
  }

  /** Keeps the process alive while the session is open. */
  ref(): void {
    keepAlive(this.client, true);
  }

  /** Destroys the socket: on a dead link, `end()` never returns. */
  destroy(reason: unknown): void {
    this.reason ??= reason;
    destroySocket(this.client);
  }

  /** Ends the session, after two seconds by destroying the socket. Never rejects. */
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

  /** Runs `work` after earlier work: pg's own queue of statements is deprecated. */
  private inTurn<T>(work: () => Promise<T>): Promise<T> {
    const result = this.lastWork.then(work);
    this.lastWork = result.catch(() => undefined);
    return result;
  }

  /** Returns the first row. A late answer ends the session: the next one would be late, too. */
  private async send(text: string): Promise<Row> {
    try {
      const { rows } = await withDeadline(this.client.query<Row>({ text, types: AS_TEXT }), {
        ms: this.options.timeoutMs,
        what: 'the server to answer on the LISTEN connection',
      });
      return rows?.[0] ?? {}; // a text of several statements has several results
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

/** Returns the time limit of pg, or a default: an attempt that never ends is never repeated. */
const connectTimeoutMs = ({ connectionTimeoutMillis }: pg.ClientConfig): number =>
  Number(connectionTimeoutMillis) || ROUND_TRIP_MS; // a text if it comes from a URL
