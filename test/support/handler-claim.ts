import { Injectable } from '@nestjs/common';
import { Listener, defineChannel, type Notification } from 'nestjs-pgpubsub';
import type pg from 'pg';
import type { EntityManager } from 'typeorm';
import { Mailbox } from './mailbox.js';
import { useStored } from './stored.js';

export const Orders = defineChannel<number>('orders', { delivery: 'exactly-once' });

/** The work of a handler in a claim. */
export type Work = (manager: EntityManager) => Promise<unknown>;

const write = (manager: EntityManager, what: unknown) =>
  manager.query('insert into public.effect (what) values ($1)', [String(what)]);

/** All state that a handler could leave for the next one, or on the connection. */
const STATE = `select json_build_object(
  'settings', (select json_object_agg(name, setting) from pg_settings where name in
    ('role', 'session_authorization', 'session_replication_role', 'search_path', 'row_security', 'statement_timeout', 'lock_timeout')),
  'disabled', coalesce(current_setting('pgpubsub.disabled', true), ''),
  'temporary', (select count(*)::int from pg_class where relpersistence = 't'),
  'cursors', (select count(*)::int from pg_cursors where name <> ''),
  'prepared', (select count(*)::int from pg_prepared_statements where name not like 'pgpubsub%'),
  'locks', (select count(*)::int from pg_locks where locktype = 'advisory' and pid = pg_backend_pid()),
  'channels', (select count(*)::int from pg_listening_channels()),
  'zone', current_setting('TimeZone')) as state`;

export interface State {
  readonly [what: string]: unknown;
}

async function stateOf(manager: EntityManager): Promise<State> {
  const [row] = await manager.query<{ state: State }[]>(STATE);
  return row?.state as State;
}

/** Claims of three rows, in which the second handler does the work. */
export function useHandlerClaims() {
  const stored = useStored();
  const { start, deadLetters, settled } = stored;

  /** Runs three handlers in one claim: the second one does the work. */
  async function runClaim(work: Work, listener: object = {}) {
    const states = new Mailbox<State>();
    const runs: string[] = [];
    @Injectable()
    class Handler {
      @Listener(Orders, { retry: { maxAttempts: 1 }, ...listener })
      async receive(payload: number, { manager, attempt }: Notification) {
        runs.push(`${payload} attempt ${attempt}`);
        if (payload === 1) states.push(await stateOf(manager));
        await write(manager, payload);
        if (payload === 2) await work(manager);
        if (payload === 3) states.push(await stateOf(manager));
      }
    }
    await using sender = await start({ channels: [Orders], options: { listen: false } });
    await sender.pubsub.notifyMany(Orders, [1, 2, 3]);
    await using app = await start({
      providers: [Handler],
      dataSource: { poolSize: 2 },
      options: { concurrency: 1, batch: { maxTimeMs: 60_000 } },
    });
    const claimErrors: unknown[] = [];
    app.pubsub.events$.subscribe((event) => event.type === 'claim-failed' && claimErrors.push(event.error));
    await settled(Orders);
    await app.pubsub.recover();
    const pooled = await Promise.all([1, 2].map(() => app.dataSource.transaction((manager) => stateOf(manager)))); // prettier-ignore
    const letters = await deadLetters(Orders);
    return {
      states: states.all,
      runs,
      pooled,
      claimErrors,
      errors: letters.map((letter) => letter.last_error),
    };
  }

  return { ...stored, runClaim };
}

/** The client of pg that a handler gets. */
export const clientOf = async (manager: EntityManager): Promise<pg.PoolClient> =>
  (await manager.queryRunner?.connect()) as pg.PoolClient;

/** Sends texts, one after the other. */
export const sql =
  (...texts: string[]): Work =>
  async (manager) => {
    for (const text of texts) await manager.query(text);
  };
