import type { DataSource } from 'typeorm';
import type { SqlExecutor } from '../../common/sql-executor.js';
import { quoteIdentifier } from '../../common/sql-identifier.js';
import { counted } from '../../common/wording.js';
import { findBacklog, type ChannelBacklog } from '../../observability/backlog.js';
import { notificationTable, processTable } from '../../storage/storage.sql.js';
import { LiveListeners } from '../../store/live-listeners.js';
import { Database } from '../../triggers/database.js';
import { withLockTimeout } from '../lock-timeout.js';
import { bad, good, warning, type DoctorCheck, type CheckResult } from './doctor-check.js';
import { readProcessRights } from './listeners.sql.js';
import { read } from './query.js';

/** The number of rows of a channel that are looked at. */
const COUNT_UP_TO = 10_000;

/** Looks for stored notifications that no running process can handle, and for what keeps processes from reporting. */
export const listenersCheck: DoctorCheck = {
  name: 'listeners',
  async run({ dataSource }) {
    const found = [
      ...(await missingRights(dataSource)),
      ...(await withLockTimeout(dataSource, (runner) =>
        unhandled(runner, Database.of(dataSource).storage.schema),
      )),
    ];
    return found.length > 0 ? found : [good('No notification waits for a listener that no process has.')];
  },
};

async function missingRights(dataSource: DataSource): Promise<CheckResult[]> {
  const { schema } = Database.of(dataSource).storage;
  const table = processTable(schema);
  const names = [notificationTable(schema), table];
  const [rights] = await read<Record<'role' | 'handles' | 'missing', string>>(
    dataSource,
    readProcessRights,
    names,
  );
  // a role that handles nothing is not that of processes with listeners
  if (rights === undefined || rights.handles !== 'true' || rights.missing === '') return [];
  const { role, missing } = rights;
  return [
    warning(
      `The role "${role}" may not ${missing} on ${table}.`,
      'Its processes cannot report their listeners: other processes take them for missing, and leave their dead letters.',
      `Grant the right: grant ${missing} on ${table} to ${quoteIdentifier(role)};`,
    ),
  ];
}

async function unhandled(executor: SqlExecutor, schema: string): Promise<CheckResult[]> {
  const live = await LiveListeners.find(executor, schema);
  if (live === undefined) return [good('No running process has reported its listeners: nothing to compare.')];
  const backlog = await findBacklog(executor, { schema, countUpTo: COUNT_UP_TO });
  const waiting = backlog.filter((channel) => channel.waiting > 0);
  const channels = waiting.map(({ channel }) => channel);
  const rows = await live.findUnhandled(executor, { schema, channels, countUpTo: COUNT_UP_TO });
  return [
    ...rows.map(({ channel, listener, count }) =>
      bad(
        `Channel "${channel}": ${counted(count, 'notification')} for the listener ${listener}, which no running process has.`,
        'They wait indefinitely. On an ordered channel everything behind them with the same key waits, too.',
        `Start a process that has the listener, give it back its old name (option "name" of @Listener()), or delete the rows of channel "${channel}" that wait for it alone: pubsub.stored.purge({ id: [...] }).`,
      ),
    ),
    ...waiting.filter(({ channel }) => !live.hasChannel(channel)).map(withoutListener),
  ];
}

const withoutListener = ({ channel, waiting }: ChannelBacklog): CheckResult =>
  warning(
    `Channel "${channel}": ${counted(waiting, 'notification')}, and no running process has a listener of the channel.`,
    'They wait until a process has one.',
    `Start one (pgpubsub listen <module> --channels ${channel}).`,
  );
