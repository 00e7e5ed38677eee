import { randomUUID } from 'node:crypto';
import { withDeadline, type DeadlineOptions } from '../common/deadline.js';
import { messageOf } from '../common/errors.js';
import type { SqlExecutor } from '../common/sql-executor.js';
import type { ListenClient } from './listen-client.js';
import { identify, probe } from './listen.sql.js';

/**
 * Finds out whether what the application sends through its pool arrives on the LISTEN connection: a connection
 * can be up, answer heartbeats and hear nothing, behind a transaction pooler or at another server. Owned by
 * `ListenConnection`, which LISTENs to `channel` and hands over what arrives there.
 */
export class SelfTest {
  readonly channel = `pgpubsub:${randomUUID()}`;
  private readonly waiting = new Map<string, () => void>();

  constructor(
    private readonly pool: () => SqlExecutor,
    private readonly timeoutMs: number,
  ) {}

  /** A notification of `channel` has arrived. */
  receive(text: string): void {
    this.waiting.get(text)?.();
  }

  /**
   * Resolves with `undefined` when the test notification came back or the session ended meanwhile (there is
   * nothing to say about it then), else with the likely cause. Never rejects.
   */
  async findFault(client: ListenClient): Promise<string | undefined> {
    const token = randomUUID();
    const arrived = new Promise<undefined>((resolve) => this.waiting.set(token, () => resolve(undefined)));
    const over = client.ended.then(() => undefined);
    try {
      const what = 'the test notification did not arrive';
      const refusal = await withDeadline(Promise.race([arrived, this.send(token), over]), this.within(what));
      return refusal && `the test notification could not be sent: ${refusal}`;
    } catch {
      return await this.diagnose(client);
    } finally {
      this.waiting.delete(token);
    }
  }

  /** Resolves only when the notification could not be sent, with the reason. */
  private send(token: string): Promise<string> {
    return new Promise((resolve) => {
      this.runOnPool(probe, [this.channel, token]).catch((error: unknown) => resolve(messageOf(error)));
    });
  }

  private async diagnose(client: ListenClient): Promise<string> {
    try {
      const answered = Promise.all([client.identify(), this.runOnPool(identify)]);
      const [listener, pool] = await withDeadline(answered, this.within('the DataSource did not answer'));
      return compare(client.processId, identityOf([listener]), identityOf(pool));
    } catch {
      return 'the DataSource did not answer in time: is its pool exhausted?';
    }
  }

  /** Rejects whatever goes wrong, also what is thrown at once. */
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

/** Reads the rows of `identify`, which both drivers return as text. */
const identityOf = (rows: unknown): Identity => (rows as [Identity])[0];

function compare(announcedPid: number, listener: Identity, pool: Identity): string {
  if (Number(listener.pid) !== announcedPid) {
    return 'the LISTEN connection goes through a transaction pooler (PgBouncer?), which keeps no LISTEN. Give a direct URL with the option "connection".';
  }
  if (listener.database !== pool.database) {
    return `the LISTEN connection is in the database "${listener.database}", the DataSource in "${pool.database}". Correct the option "connection".`;
  }
  if (listener.standby === 'true' || pool.standby === 'true')
    return 'one of the two connections is at a standby (replica), which passes no notifications on. Connect both to the primary.';
  if (listener.server !== pool.server)
    return 'the LISTEN connection and the DataSource are at different servers. Correct the option "connection".';
  return 'the test notification did not arrive in time. Is the server overloaded, or its notification queue held up by a long transaction?';
}
