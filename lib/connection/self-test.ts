import { randomUUID } from 'node:crypto';
import { withDeadline, type DeadlineOptions } from '../common/deadline.js';
import { messageOf } from '../common/errors.js';
import type { SqlExecutor } from '../common/sql-executor.js';
import type { ListenClient } from './listen-client.js';
import { identify, probe } from './listen.sql.js';

/**
 * Tests whether notifications that are sent through the application's pool arrive on the LISTEN
 * connection. A connection can be up and answer heartbeats, but receive nothing: behind a
 * transaction pooler, or at another server. Owned by `ListenConnection`, which LISTENs to `channel`
 * and passes on its notifications.
 */
export class SelfTest {
  readonly channel = `pgpubsub:${randomUUID()}`;
  private readonly waiting = new Map<string, () => void>();

  constructor(
    private readonly pool: () => SqlExecutor,
    private readonly timeoutMs: number,
  ) {}

  /** Takes a notification of `channel`. */
  receive(text: string): void {
    this.waiting.get(text)?.();
  }

  /**
   * Resolves with the likely cause of a failed test; with `undefined` when the notification
   * arrived, or when the session ended meanwhile. Never rejects.
   */
  async findFault(client: ListenClient): Promise<string | undefined> {
    const token = randomUUID();
    const arrived = new Promise<undefined>((resolve) => this.waiting.set(token, () => resolve(undefined)));
    const over = client.ended.then(() => undefined);
    try {
      const what = 'the test notification to arrive';
      const refusal = await withDeadline(Promise.race([arrived, this.send(token), over]), this.within(what));
      return refusal && `the test notification could not be sent: ${refusal}`;
    } catch {
      return await this.diagnose(client);
    } finally {
      this.waiting.delete(token);
    }
  }

  /** Resolves with the reason when the notification could not be sent; never settles otherwise. */
  private send(token: string): Promise<string> {
    return new Promise((resolve) => {
      this.runOnPool(probe, [this.channel, token]).catch((error: unknown) => resolve(messageOf(error)));
    });
  }

  private async diagnose(client: ListenClient): Promise<string> {
    try {
      const answered = Promise.all([client.identify(), this.runOnPool(identify)]);
      const [listener, pool] = await withDeadline(answered, this.within('the DataSource to answer'));
      return compare(client.processId, identityOf([listener]), identityOf(pool));
    } catch {
      return 'the DataSource did not answer in time. Its pool may be exhausted.';
    }
  }

  /** Rejects for errors that are thrown synchronously, too. */
  private async runOnPool(sql: string, parameters?: unknown[]): Promise<unknown> {
    return this.pool().query(sql, parameters); // no deadline: the callers limit the whole exchange
  }

  private within(what: string): DeadlineOptions {
    return { ms: this.timeoutMs, what };
  }
}

interface Identity {
  readonly pid: string;
  readonly database: string;
  readonly server: string;
  readonly standby: string;
}

/** Reads the row of `identify`; both drivers return text. */
const identityOf = (rows: unknown): Identity => (rows as [Identity])[0];

function compare(announcedPid: number, listener: Identity, pool: Identity): string {
  if (Number(listener.pid) !== announcedPid) {
    return 'the LISTEN connection goes through a transaction pooler (such as PgBouncer), which does not support LISTEN. Set the option "connection" to a direct URL.';
  }
  if (listener.database !== pool.database) {
    return `the LISTEN connection is in the database "${listener.database}", the DataSource in "${pool.database}". Correct the option "connection".`;
  }
  if (listener.standby === 'true' || pool.standby === 'true')
    return 'one of the two connections is at a standby (replica), which does not deliver notifications. Connect both to the primary.';
  if (listener.server !== pool.server)
    return 'the LISTEN connection and the DataSource are at different servers. Correct the option "connection".';
  return 'the test notification did not arrive in time. The server may be overloaded, or a long transaction may hold up its notification queue.';
}
