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

/** The largest number of rows per channel that are read. */
const COUNT_UP_TO = 10_000;

/** Finds notifications that no running process can handle, and rights that processes lack. */
export const listenersCheck: DoctorCheck = {
  name: 'listeners',
  async run({ dataSource }) {
    const found = [
      ...(await missingRights(dataSource)),
      ...(await withLockTimeout(dataSource, (runner) =>
        unhandled(runner, Database.of(dataSource).storage.schema),
      )),
    ];
    return found.length > 0
      ? found
      : [good('All pending notifications have a listener in a running process.')];
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
  // a role without these rights is not used by processes with listeners
  if (rights === undefined || rights.handles !== 'true' || rights.missing === '') return [];
  const { role, missing } = rights;
  return [
    warning(
      `The role "${role}" may not ${missing} on ${table}.`,
      'Processes with this role cannot report their listeners: other processes consider them missing, and do not retry their dead letters.',
      `Grant the right: grant ${missing} on ${table} to ${quoteIdentifier(role)};`,
    ),
  ];
}

async function unhandled(executor: SqlExecutor, schema: string): Promise<CheckResult[]> {
  const live = await LiveListeners.find(executor, schema);
  if (live === undefined)
    return [good('No running process has reported its listeners, so none can be missing.')];
  const backlog = await findBacklog(executor, { schema, countUpTo: COUNT_UP_TO });
  const waiting = backlog.filter((channel) => channel.waiting > 0);
  const channels = waiting.map(({ channel }) => channel);
  const rows = await live.findUnhandled(executor, { schema, channels, countUpTo: COUNT_UP_TO });
  return [
    ...rows.map(({ channel, listener, count }) =>
      bad(
        `Channel "${channel}": ${counted(count, 'notification')} for the listener ${listener}, which no running process has.`,
        'They wait indefinitely. On an ordered channel, later notifications with the same key wait, too.',
        `Start a process that has the listener, restore its old name (option "name" of @Listener()), or delete the rows of channel "${channel}" that wait only for it: pubsub.stored.purge({ id: [...] }).`,
      ),
    ),
    ...waiting.filter(({ channel }) => !live.hasChannel(channel)).map(withoutListener),
  ];
}

const withoutListener = ({ channel, waiting }: ChannelBacklog): CheckResult =>
  warning(
    `Channel "${channel}": ${counted(waiting, 'notification')}, and no running process has a listener of the channel.`,
    'They wait until a process has one.',
    `Start a process for the channel (pgpubsub listen <module> --channels ${channel}).`,
  );
