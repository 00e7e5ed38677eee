import type { ConnectionState, Gap } from 'nestjs-pgpubsub';
import type { PubSubEvent } from '../../lib/common/events.js';
import { ListenConnection, type ListenConnectionOptions } from '../../lib/connection/listen-connection.js';
import type { TestDatabase } from './database.js';
import { Mailbox } from './mailbox.js';

/** A LISTEN connection without an application, with all its reports; stopped when disposed of. */
export async function openListenConnection(
  database: TestDatabase,
  options: Partial<ListenConnectionOptions> = {},
) {
  const events = new Mailbox<PubSubEvent>();
  const states = new Mailbox<ConnectionState>();
  const gaps = new Mailbox<Gap>();
  const received = new Mailbox<string>();
  const client = await database.client();
  const connection = new ListenConnection({
    config: () => ({ connectionString: database.url, application_name: 'test:listen' }),
    canConnect: () => true,
    isDirected: true,
    heartbeat: { intervalMs: 10_000, timeoutMs: 5_000 },
    reconnect: { minDelayMs: 1, maxDelayMs: 10 },
    pool: () => ({ query: async (sql, parameters) => (await client.query(sql, parameters)).rows }),
    receive: ({ text }) => received.push(text),
    report: events.push,
    ...options,
  });
  connection.state$.subscribe(states.push);
  connection.gaps$.subscribe(gaps.push);
  const notify = (channel: string, text: string) => client.query('select pg_notify($1, $2)', [channel, text]);
  return {
    connection,
    events,
    states,
    gaps,
    received,
    notify,
    [Symbol.asyncDispose]: () => connection.stop(),
  };
}
