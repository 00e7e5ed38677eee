import { randomUUID } from 'node:crypto';
import { setTimeout as delay } from 'node:timers/promises';
import { messageOf } from '../common/errors.js';
import type { SqlExecutor } from '../common/sql-executor.js';
import type { ListenSession } from './listen-session.js';
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
  async findFault(session: ListenSession): Promise<string | undefined> {
    const token = randomUUID();
    const done = new AbortController();
    const arrived = new Promise<void>((resolve) => this.waiting.set(token, resolve));
    const refused = this.send(token);
    const timeout = delay(this.timeoutMs, 'silence' as const, { signal: done.signal });
    timeout.catch(() => undefined);
    try {
      const outcome = await Promise.race([arrived, refused, session.ended.then(() => undefined), timeout]);
      if (outcome === undefined) return undefined;
      return outcome === 'silence'
        ? await this.diagnose(session)
        : `the test notification could not be sent: ${outcome}`;
    } finally {
      done.abort();
      this.waiting.delete(token);
    }
  }

  /** Resolves only when the notification could not be sent, with the reason. */
  private send(token: string): Promise<string> {
    return new Promise((resolve) => {
      this.query(probe, [this.channel, token]).catch((error: unknown) => resolve(messageOf(error)));
    });
  }

  private async diagnose(session: ListenSession): Promise<string> {
    const done = new AbortController();
    const timeout = delay(this.timeoutMs, undefined, { signal: done.signal }).catch(() => undefined);
    const listener = session.execute(identify).then(({ rows }): unknown => rows);
    const asked = Promise.all([listener, this.query(identify)]);
    const answers = await Promise.race([asked.catch(() => undefined), timeout]);
    done.abort();
    if (answers === undefined) return 'the DataSource did not answer in time: is its pool exhausted?';
    return compare(session.processId, identityOf(answers[0]), identityOf(answers[1]));
  }

  /** Whatever goes wrong is a rejection, also what is thrown at once. */
  private async query(sql: string, parameters?: unknown[]): Promise<unknown> {
    return this.pool().query(sql, parameters);
  }
}

interface Identity {
  readonly pid: number;
  readonly database: string;
  readonly server: string;
  readonly standby: boolean;
}

/** Both drivers answer with the rows of `identify`. */
const identityOf = (rows: unknown): Identity => (rows as [Identity])[0];

function compare(announcedPid: number, listener: Identity, pool: Identity): string {
  if (listener.pid !== announcedPid) {
    return 'the LISTEN connection goes through a transaction pooler (PgBouncer?), which keeps no LISTEN. Give a direct URL with the option "connection".';
  }
  if (listener.database !== pool.database) {
    return `the LISTEN connection is in the database "${listener.database}", the DataSource in "${pool.database}". Correct the option "connection".`;
  }
  if (listener.standby || pool.standby)
    return 'one of the two connections is at a standby (replica), which passes no notifications on. Connect both to the primary.';
  if (listener.server !== pool.server)
    return 'the LISTEN connection and the DataSource are at different servers. Correct the option "connection".';
  return 'the test notification did not arrive in time. Is the server overloaded, or its notification queue held up by a long transaction?';
}
