import pg from 'pg';
import { ROUND_TRIP_MS, settlesWithin, withDeadline } from '../common/deadline.js';
import { AS_TEXT, destroySocket } from '../postgres/pg-client.js';

type Rows = Record<string, string | null>[];

/** The time for a regular end, after which the socket is destroyed. */
const CLOSE_TIMEOUT_MS = 2_000;

/**
 * The instance's own connection for short statements, which handlers cannot exhaust as they can the
 * pool. Opened with the first statement, and after a loss with the next one. Owned by the instance;
 * ends with `close()`.
 */
export class InstanceConnection {
  private client: pg.Client | undefined;
  private isOpen = false;
  private isClosed = false;
  private lastWork: Promise<unknown> = Promise.resolve();

  constructor(private readonly config: () => pg.ClientConfig) {}

  /** Runs statements one after the other. A late answer rejects, and ends the connection. */
  query(text: string, values: unknown[] = []): Promise<Rows> {
    const work = this.lastWork.then(() => this.run(text, values));
    this.lastWork = work.catch(() => undefined);
    return work;
  }

  /** Closes the connection and rejects waiting statements. Never rejects. */
  async close(): Promise<void> {
    this.isClosed = true;
    const { client } = this;
    if (client === undefined) return;
    const isEnded = this.isOpen && (await settlesWithin(client.end(), CLOSE_TIMEOUT_MS));
    if (!isEnded) this.drop(client);
  }

  private async run(text: string, values: unknown[]): Promise<Rows> {
    if (this.isClosed) throw new Error('the connection is closed');
    const client = this.client ?? (await this.open());
    const { rows } = await withDeadline(client.query<Rows[number]>({ text, values, types: AS_TEXT }), {
      ms: ROUND_TRIP_MS,
      what: 'the database to answer a heartbeat',
      onLate: () => this.drop(client),
    });
    return rows;
  }

  private async open(): Promise<pg.Client> {
    const client = new pg.Client(this.config());
    this.client = client;
    client.on('error', () => this.drop(client)); // stays attached: a late error of pg would end the process
    client.once('end', () => this.drop(client)); // no deadline: lasts as long as the connection
    try {
      const what = 'the server to accept a connection';
      await withDeadline(client.connect(), { ms: ROUND_TRIP_MS, what });
      if (this.isClosed) throw new Error('the connection is closed');
    } catch (error) {
      this.drop(client);
      throw error;
    }
    this.isOpen = true;
    return client;
  }

  private drop(client: pg.Client): void {
    if (this.client === client) {
      this.client = undefined;
      this.isOpen = false;
    }
    destroySocket(client);
  }
}
